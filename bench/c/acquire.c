/* The system calls with which qc-lock-core acquires and releases a lock on a name, and on an account
   if one is given, with record, latches and history, and nothing besides.
   Usage: acquire DIR ROUNDS [ACCOUNT]; prints the nanoseconds of one round. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char dir[4096], guards[4200], record[4200], history[4200], latch[4200], latches[4200];

/* The guards of one resource: a file of the folder, and for an account two sockets' names and a
   file of the machine. */
struct guard {
	char path[4300], socket[64], by[100], in[100], shared[100];
	int on_machine, fds[5];
};
static struct guard all[3];
static int count;

static void check(long result)
{
	if (result < 0) {
		perror("acquire");
		exit(1);
	}
}

static void stamp(char *text, size_t size)
{
	struct timeval now;
	struct tm local;
	char day[64];
	gettimeofday(&now, NULL);
	localtime_r(&now.tv_sec, &local);
	strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &local);
	snprintf(text, size, "%s.%06ld+00:00", day, (long)now.tv_usec);
}

static void tell(const char *event)
{
	char time[128], line[512];
	struct stat found;
	stamp(time, sizeof time);
	int length = snprintf(line, sizeof line,
		"{\"time\":\"%s\",\"event\":\"%s\",\"name\":\"BENCH\",\"pid\":%d,\"account\":null,\"detail\":null,"
		"\"by\":\"acquire\",\"by_pid\":%d,\"user\":\"root\",\"host\":\"host\"}\n",
		time, event, getpid(), getpid());
	int fd = open(history, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0666);
	check(fd);
	check(fstat(fd, &found));
	check(write(fd, line, length));
	check(close(fd));
}

static void look_for_records(void)
{
	DIR *entries = opendir(dir);
	if (!entries)
		check(-1);
	struct dirent *entry;
	while ((entry = readdir(entries))) {
		size_t length = strlen(entry->d_name);
		if (length > 5 && strcmp(entry->d_name + length - 5, ".lock") == 0) {
			fprintf(stderr, "acquire: there is a record\n");
			exit(1);
		}
	}
	closedir(entries);
}

static void write_record(int number)
{
	char temporary[4300], time[128], text[1024];
	stamp(time, sizeof time);
	snprintf(temporary, sizeof temporary, "%s/.BENCH.%d.%d.tmp", dir, getpid(), number);
	int length = snprintf(text, sizeof text,
		"{\n  \"pid\": %d,\n  \"name\": \"BENCH\",\n  \"account\": null,\n  \"timestamp\": \"%s\",\n  \"host\": \"host\",\n"
		"  \"version\": 1,\n  \"started\": 123456789,\n  \"boot_id\": \"7285a12c-efe0-4762-919d-47ed861666e8\",\n"
		"  \"pid_namespace\": 4026531836,\n  \"resources\": [\n    \"name/bench\"\n  ],\n  \"wrapper_pid\": null,\n"
		"  \"user\": \"root\",\n  \"program\": \"acquire\",\n  \"token\": null\n}",
		getpid(), time);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	check(fd);
	check(write(fd, text, length));
	check(close(fd));
	check(rename(temporary, record));
}

static void add(const char *name, int on_machine)
{
	struct guard *guard = &all[count++];
	guard->on_machine = on_machine;
	snprintf(guard->path, sizeof guard->path, "%s/%s", guards, name);
	snprintf(guard->socket, sizeof guard->socket, "qc2-bench/%s", name);
	snprintf(guard->by, sizeof guard->by, "qc2-bench/%s/by/1.1.1/BENCH", name);
	snprintf(guard->in, sizeof guard->in, "qc2-bench/%s/in//tmp", name);
	snprintf(guard->shared, sizeof guard->shared, "/dev/shm/qc2-bench.%s", name);
}

/* Opens and locks a file, and makes sure that its name is still its own. */
static int lock(const char *path, int with_range)
{
	struct stat opened, named;
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
	check(fd);
	check(fstat(fd, &opened));
	check(flock(fd, LOCK_EX | LOCK_NB));
	if (with_range) {
		struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
		check(fcntl(fd, F_OFD_SETLK, &range));
	}
	check(lstat(path, &named));
	if (opened.st_ino != named.st_ino)
		exit(1);
	return fd;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(fd);
	return fd;
}

static void bind_name(int fd, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memcpy(address.sun_path + 1, name, strlen(name));
	check(bind(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

static void look_for_latches(void)
{
	struct stat found;
	if (lstat(latch, &found) == 0 || lstat(latches, &found) == 0)
		exit(1);
}

static void acquire_and_release(int number)
{
	struct stat found;
	char text[1024];
	check(lstat(dir, &found));
	check(lstat(guards, &found));
	for (int i = 0; i < count; i++)
		all[i].fds[0] = lock(all[i].path, 0);
	for (int i = 0; i < count; i++)
		if (all[i].on_machine) {
			all[i].fds[1] = new_socket();
			bind_name(all[i].fds[1], all[i].socket);
			all[i].fds[2] = lock(all[i].shared, 1);
			all[i].fds[3] = new_socket();
			all[i].fds[4] = new_socket();
		}
	look_for_latches();
	look_for_records();
	write_record(number);
	look_for_latches();
	for (int i = 0; i < count; i++)
		check(lstat(all[i].path, &found));
	for (int i = 0; i < count; i++)
		if (all[i].on_machine) {
			bind_name(all[i].fds[3], all[i].by);
			bind_name(all[i].fds[4], all[i].in);
		}
	tell("acquired");

	int fd = open(record, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	check(fd);
	check(fstat(fd, &found));
	check(read(fd, text, sizeof text));
	check(read(fd, text, sizeof text));
	check(close(fd));
	check(unlink(record));
	tell("released");
	for (int i = 0; i < count; i++)
		for (int j = 0; j < (all[i].on_machine ? 5 : 1); j++)
			check(close(all[i].fds[j]));
}

int main(int argc, char **argv)
{
	if (argc != 3 && argc != 4)
		return 2;
	snprintf(dir, sizeof dir, "%s", argv[1]);
	snprintf(guards, sizeof guards, "%s/.guards", dir);
	snprintf(record, sizeof record, "%s/BENCH.lock", dir);
	snprintf(history, sizeof history, "%s/history.jsonl", dir);
	snprintf(latch, sizeof latch, "%s/LATCH", dir);
	snprintf(latches, sizeof latches, "%s/latches", dir);
	if (argc == 4) {
		char name[40];
		/* The brain's place at the account, and the one of version 1. */
		snprintf(name, sizeof name, "account@%s-1", argv[3]);
		add(name, 1);
		snprintf(name, sizeof name, "account@%s-2", argv[3]);
		add(name, 1);
	}
	add("name@bench", 0);
	mkdir(dir, 0777);
	mkdir(guards, 0777);
	int rounds = atoi(argv[2]);
	struct timespec began, ended;
	acquire_and_release(0);
	clock_gettime(CLOCK_MONOTONIC, &began);
	for (int round = 1; round <= rounds; round++)
		acquire_and_release(round);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	double nanoseconds = (ended.tv_sec - began.tv_sec) * 1e9 + (ended.tv_nsec - began.tv_nsec);
	printf("%.0f\n", nanoseconds / rounds);
	for (int i = 0; i < count; i++)
		if (all[i].on_machine)
			unlink(all[i].shared);
	return 0;
}
