/* The least that a supervisor does: starts COUNT children, each with a log file, waits for them in
   one thread, starts each that ends again, and on SIGTERM asks all to stop and waits for their end.
   Usage: launch COUNT LOG_DIR PROGRAM ARGUMENT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char **arguments;
static const char *logs;
static sigset_t handled, before;

static void check(long result)
{
	if (result < 0) {
		perror("launch");
		exit(1);
	}
}

static pid_t start(int number)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%d.log", logs, number);
	int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	check(log);
	pid_t pid = vfork();
	if (pid == 0) {
		dup2(log, 1);
		dup2(log, 2);
		sigprocmask(SIG_SETMASK, &before, NULL);
		execve(arguments[0], arguments, environ);
		_exit(127);
	}
	check(pid);
	close(log);
	return pid;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	int count = atoi(argv[1]), left = count, stopping = 0;
	logs = argv[2];
	arguments = argv + 3;
	pid_t *pids = calloc(count, sizeof *pids);
	sigemptyset(&handled);
	sigaddset(&handled, SIGCHLD);
	sigaddset(&handled, SIGTERM);
	sigprocmask(SIG_BLOCK, &handled, &before);
	for (int i = 0; i < count; i++)
		pids[i] = start(i);
	while (left > 0) {
		if (sigwaitinfo(&handled, NULL) == SIGTERM && !stopping) {
			stopping = 1;
			for (int i = 0; i < count; i++)
				kill(pids[i], SIGTERM);
		}
		pid_t ended;
		while ((ended = waitpid(-1, NULL, WNOHANG)) > 0) {
			if (stopping) {
				left--;
				continue;
			}
			for (int i = 0; i < count; i++)
				if (pids[i] == ended)
					pids[i] = start(i);
		}
	}
	return 0;
}
