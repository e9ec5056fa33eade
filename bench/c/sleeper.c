/* Sleeps until it is killed, at most ten minutes: one of many processes on a busy machine. With
   --stubborn among its arguments it does not end when it is asked to. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **words) {
    alarm(600);
    /* What a shell starts in the background ignores it, and would not be well-behaved. */
    signal(SIGINT, SIG_DFL);
    for (int one = 1; one < count; one++)
        if (strcmp(words[one], "--stubborn") == 0) {
            signal(SIGINT, SIG_IGN);
            signal(SIGTERM, SIG_IGN);
        }
    for (;;)
        pause();
}
