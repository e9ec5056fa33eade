/* Sleeps until it is killed, at most ten minutes: one of many processes on a busy machine. */
#include <unistd.h>

int main(void) {
    alarm(600);
    for (;;)
        pause();
}
