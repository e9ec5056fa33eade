/* Holds an exclusive flock on a file while a command runs; exit code 75 if somebody else has it.
   Usage: flock FILE COMMAND [ARGUMENT ...] */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int fd = open(argv[1], O_RDWR | O_CREAT, 0666);
	if (fd < 0)
		return 1;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? 75 : 1;
	/* The program that is run keeps the descriptor, and with it the lock. */
	execvp(argv[2], argv + 2);
	return 127;
}
