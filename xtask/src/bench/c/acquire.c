/* The system calls with which qc-lock-core takes a lock on a name and gives it back, record and
   history included, and nothing besides.
   Usage: acquire DIR ROUNDS; prints the nanoseconds of one round. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static char dir[4096], guards[4200], guard[4300], record[4200], history[4200];

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

static void acquire_and_release(int number)
{
	struct stat found, opened, named;
	check(lstat(dir, &found));
	check(lstat(guards, &found));
	int fd = open(guard, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
	check(fd);
	check(fstat(fd, &opened));
	check(flock(fd, LOCK_EX | LOCK_NB));
	check(lstat(guard, &named));
	if (opened.st_ino != named.st_ino)
		exit(1);
	look_for_records();
	write_record(number);
	check(lstat(guard, &named));
	tell("acquired");

	check(unlink(record));
	tell("released");
	check(close(fd));
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	snprintf(dir, sizeof dir, "%s", argv[1]);
	snprintf(guards, sizeof guards, "%s/.guards", dir);
	snprintf(guard, sizeof guard, "%s/name@bench", guards);
	snprintf(record, sizeof record, "%s/BENCH.lock", dir);
	snprintf(history, sizeof history, "%s/history.jsonl", dir);
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
	return 0;
}
