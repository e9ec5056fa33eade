/*
 * What listing costs at least: reads the files of every process that qc-ps reads of a process
 * that it shows, and prints one line for each. With an argument, reads of all others only the
 * command line: of those without that text in it.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char args[131072], stat_text[4096], exe[4096], cwd[4096];

static ssize_t slurp(int proc, const char *pid, const char *name, char *into, size_t room) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", pid, name);
    int file = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t length = read(file, into, room - 1);
    close(file);
    if (length >= 0)
        into[length] = 0;
    return length;
}

static void follow(int proc, const char *pid, const char *name, char *into, size_t room) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", pid, name);
    ssize_t length = readlinkat(proc, path, into, room - 1);
    into[length < 0 ? 0 : length] = 0;
}

int main(int count, char **words) {
    const char *wanted = count > 1 ? words[1] : NULL;
    DIR *dir = opendir("/proc");
    if (!dir)
        return 1;
    int proc = dirfd(dir);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        const char *pid = entry->d_name;
        if (!isdigit((unsigned char)pid[0]))
            continue;
        ssize_t length = slurp(proc, pid, "cmdline", args, sizeof args);
        if (length < 0)
            continue;
        for (ssize_t at = 0; at + 1 < length; at++)
            if (!args[at])
                args[at] = ' ';
        if (wanted && !strstr(args, wanted))
            continue;
        if (slurp(proc, pid, "stat", stat_text, sizeof stat_text) < 0)
            continue;
        follow(proc, pid, "exe", exe, sizeof exe);
        follow(proc, pid, "cwd", cwd, sizeof cwd);
        char *fields = strrchr(stat_text, ')');
        char state;
        int parent;
        unsigned long user, kernel;
        unsigned long long started;
        long pages;
        if (!fields || sscanf(fields + 2,
                              "%c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d "
                              "%*d %*d %llu %*u %ld",
                              &state, &parent, &user, &kernel, &started, &pages) != 6)
            continue;
        printf("%s %d %c %lu %llu %ld %s %s %s\n", pid, parent, state, user + kernel, started,
               pages, exe, cwd, args);
    }
    closedir(dir);
    return 0;
}
