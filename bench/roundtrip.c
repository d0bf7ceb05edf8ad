/* The floor of a socket's round trip: a connected socket, one send and one receive in a loop, the clock read twice, and
 * nothing else. Probes have the form of sockperf's (sequence, flags 3, length, all big-endian), so that its server answers.
 * Usage: roundtrip udp|tcp ADDRESS PORT SIZE SECONDS        spins on MSG_DONTWAIT
 * Prints P50 and P99 in ns. Built by bench/engines: cc -O2 -o roundtrip roundtrip.c */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static uint64_t now(void) {
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int rising(const void *a, const void *b) {
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static int fail(const char *what) {
	fprintf(stderr, "roundtrip: %s: %s\n", what, strerror(errno));
	return 2;
}

int main(int argc, char **argv) {
	if (argc != 6) {
		fprintf(stderr, "usage: roundtrip udp|tcp ADDRESS PORT SIZE SECONDS\n");
		return 2;
	}
	int tcp = strcmp(argv[1], "tcp") == 0, one = 1;
	size_t size = (size_t)atoi(argv[4]);
	uint64_t seconds = (uint64_t)atoi(argv[5]);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
	unsigned char message[1472] = {0}, answer[1472];
	if (size < 14 || size > sizeof message || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) {
		errno = EINVAL;
		return fail("arguments");
	}
	int fd = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		return fail("connect");
	if (tcp && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
		return fail("TCP_NODELAY");
	message[9] = 3; /* from the client, wants an answer */
	message[12] = (unsigned char)(size >> 8);
	message[13] = (unsigned char)size;

	size_t room = 4u << 20, count = 0, warm = 100;
	uint32_t *all = calloc(room, sizeof *all);
	if (!all)
		return fail("memory");
	memset(all, 1, room * sizeof *all); /* no page fault between two probes */
	uint64_t end = now() + seconds * 1000000000u;
	for (uint64_t seq = 1; count < room; seq++) {
		for (int i = 0; i < 8; i++)
			message[i] = (unsigned char)(seq >> (56 - 8 * i));
		uint64_t sent = now(), at;
		if (send(fd, message, size, 0) != (ssize_t)size)
			return fail("send");
		size_t got = 0;
		while (got < size) {
			ssize_t n = recv(fd, answer + got, size - got, MSG_DONTWAIT);
			if (n > 0) {
				got += (size_t)n;
			} else if (n == 0 || errno != EAGAIN) {
				return fail("recv");
			} else if (now() - sent > 1000000000u) {
				errno = ETIMEDOUT;
				return fail("recv");
			}
		}
		at = now();
		if (seq > warm)
			all[count++] = (uint32_t)(at - sent);
		if (at >= end)
			break;
	}
	if (count < 1000) {
		errno = ENODATA;
		return fail("fewer than 1000 round trips");
	}
	qsort(all, count, sizeof *all, rising);
	printf("%u %u\n", all[count / 2], all[count * 99 / 100]);
	return 0;
}
