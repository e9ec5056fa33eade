/* One of many children: writes its pid to a FIFO as soon as it runs, and does nothing from then on.
   Usage: child FIFO */
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int32_t pid = getpid();
	int fifo = argc == 2 ? open(argv[1], O_WRONLY) : -1;
	if (fifo < 0 || write(fifo, &pid, sizeof pid) != sizeof pid)
		return 1;
	close(fifo);
	for (;;)
		pause();
}
