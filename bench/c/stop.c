/* stop GRACE_MS < PIDS: the least that stopping takes. Opens all processes, asks all with SIGINT,
   waits for all at once, and kills at the end of the grace what is left. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096 };
static struct pollfd all[MOST];

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Waits until all have ended or `until`; returns how many are left. */
static int wait_for(int count, long until) {
    int left = 0;
    for (int one = 0; one < count; one++)
        left += all[one].fd >= 0;
    while (left > 0) {
        long rest = until - now();
        if (rest < 0 || poll(all, count, rest) <= 0)
            break;
        for (int one = 0; one < count; one++)
            if (all[one].fd >= 0 && all[one].revents) {
                close(all[one].fd);
                all[one].fd = -1;
                left--;
            }
    }
    return left;
}

int main(int words, char **word) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    long grace = words > 1 ? atol(word[1]) : 10000;
    int count = 0, pid;
    while (count < MOST && scanf("%d", &pid) == 1) {
        int fd = syscall(SYS_pidfd_open, pid, 0);
        if (fd >= 0)
            all[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    long began = now();
    for (int one = 0; one < count; one++)
        syscall(SYS_pidfd_send_signal, all[one].fd, SIGINT, NULL, 0);
    if (wait_for(count, began + grace) > 0) {
        for (int one = 0; one < count; one++)
            if (all[one].fd >= 0)
                syscall(SYS_pidfd_send_signal, all[one].fd, SIGKILL, NULL, 0);
        return wait_for(count, now() + 5000) > 0;
    }
    return 0;
}
