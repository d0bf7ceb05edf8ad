/* The floor of a socket's round trip: a connected socket, one send and one receive in a loop, the clock read twice, and
 * nothing else. Probes have the form of sockperf's (sequence, flags 3, length, all big-endian), so that its server answers.
 * Usage: roundtrip udp|tcp|uring ADDRESS PORT SIZE SECONDS        spins on MSG_DONTWAIT
 *        roundtrip udp-block|tcp-block ADDRESS PORT SIZE SECONDS  sleeps in recv(2)
 *        roundtrip serve udp|tcp|udp-block|tcp-block ADDRESS PORT  the floor of a far end: sends back what it receives, to one
 *                                                                  client if by TCP
 *        roundtrip line CPU CPU SECONDS    two processes on these CPUs pass one cache line to and fro, without the kernel
 * uring: the same by io_uring, UDP: one io_uring_enter(2) a send and one a try to receive, with what makes a call cheap: a
 * registered ring and file, SINGLE_ISSUER and DEFER_TASKRUN. No completion waits for task work, so this is the least that a
 * request costs.
 * Prints P50 and P99 in ns. Built by bench/engines: cc -O2 -o roundtrip roundtrip.c */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

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

/* A ring with room for one request. */
static struct {
	unsigned number; /* of the ring in this thread */
	unsigned *sq_tail, *cq_head, *cq_tail, sq_mask, cq_mask;
	struct io_uring_sqe *requests;
	struct io_uring_cqe *results;
} ring;

static int ring_open(int fd) {
	struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
	int at = (int)syscall(SYS_io_uring_setup, 4, &p);
	if (at < 0)
		return -1;
	/* Since 5.4 one mapping holds both rings (IORING_FEAT_SINGLE_MMAP). */
	size_t sq = p.sq_off.array + p.sq_entries * sizeof(unsigned);
	size_t cq = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	int rw = PROT_READ | PROT_WRITE;
	unsigned char *rings = mmap(NULL, sq > cq ? sq : cq, rw, MAP_SHARED, at, IORING_OFF_SQ_RING);
	void *requests = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe), rw, MAP_SHARED, at, IORING_OFF_SQES);
	if (rings == MAP_FAILED || requests == MAP_FAILED)
		return -1;
	for (unsigned i = 0; i < p.sq_entries; i++)
		((unsigned *)(rings + p.sq_off.array))[i] = i;
	ring.sq_tail = (unsigned *)(rings + p.sq_off.tail);
	ring.cq_head = (unsigned *)(rings + p.cq_off.head);
	ring.cq_tail = (unsigned *)(rings + p.cq_off.tail);
	ring.sq_mask = *(unsigned *)(rings + p.sq_off.ring_mask);
	ring.cq_mask = *(unsigned *)(rings + p.cq_off.ring_mask);
	ring.requests = requests;
	ring.results = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
	struct io_uring_rsrc_update own = {.offset = -1U, .data = (unsigned)at};
	if (syscall(SYS_io_uring_register, at, IORING_REGISTER_FILES, &fd, 1) < 0 ||
	    syscall(SYS_io_uring_register, at, IORING_REGISTER_RING_FDS, &own, 1) != 1)
		return -1;
	ring.number = own.offset;
	return 0;
}

/* One request on the registered file, which does not wait, and its result as of send(2) and recv(2). */
static ssize_t ring_do(unsigned char op, void *bytes, size_t size) {
	unsigned tail = *ring.sq_tail, head = *ring.cq_head;
	struct io_uring_sqe *request = &ring.requests[tail & ring.sq_mask];
	memset(request, 0, sizeof *request);
	request->opcode = op;
	request->flags = IOSQE_FIXED_FILE;
	request->addr = (uintptr_t)bytes;
	request->len = (unsigned)size;
	request->msg_flags = MSG_DONTWAIT;
	__atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.number, 1, 0, IORING_ENTER_REGISTERED_RING, NULL, 0) != 1)
		return -1;
	if (__atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE) == head) {
		errno = ENODATA;
		return -1;
	}
	int result = ring.results[head & ring.cq_mask].res;
	__atomic_store_n(ring.cq_head, head + 1, __ATOMIC_RELEASE);
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

static int on_cpu(int cpu) {
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof set, &set);
}

/* Means of a hundred round trips, since a read of the clock takes about as long as one. */
static int line(int near, int far, uint64_t seconds) {
	enum { BATCH = 100, ROOM = 1 << 20 };
	uint32_t *all = calloc(ROOM, sizeof *all);
	unsigned *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!all || word == MAP_FAILED)
		return fail("memory");
	pid_t child = fork();
	if (child < 0)
		return fail("fork");
	if (child == 0) {
		if (on_cpu(far) < 0)
			_exit(fail("CPU"));
		/* Ends with the near end. */
		for (unsigned turn = 1;; turn += 2) {
			while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != turn)
				;
			__atomic_store_n(word, turn + 1, __ATOMIC_RELEASE);
		}
	}
	size_t count = 0;
	unsigned turn = 0;
	int rc = on_cpu(near) < 0 ? fail("CPU") : 0;
	for (uint64_t from = now(), end = from + seconds * 1000000000u; rc == 0 && from < end && count < ROOM;) {
		for (int i = 0; i < BATCH; i++, turn += 2) {
			__atomic_store_n(word, turn + 1, __ATOMIC_RELEASE);
			while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != turn + 2)
				;
		}
		uint64_t at = now();
		all[count++] = (uint32_t)((at - from) / BATCH);
		from = at;
	}
	kill(child, SIGKILL);
	if (rc != 0 || count == 0)
		return 2;
	qsort(all, count, sizeof *all, rising);
	printf("%u %u\n", all[count / 2], all[count * 99 / 100]);
	return 0;
}

static int place(const char *address, const char *port, struct sockaddr_in *at) {
	at->sin_family = AF_INET;
	at->sin_port = htons((uint16_t)atoi(port));
	return inet_pton(AF_INET, address, &at->sin_addr) == 1;
}

static int serve(const char *how, const char *address, const char *port) {
	int tcp = strncmp(how, "tcp", 3) == 0, wait = strstr(how, "-block") ? 0 : MSG_DONTWAIT, one = 1;
	struct sockaddr_in at = {0}, from;
	socklen_t len = sizeof from;
	unsigned char message[1472];
	int fd = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (!place(address, port, &at) || fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
		return fail("bind");
	if (tcp) {
		int near = listen(fd, 1) < 0 ? -1 : accept(fd, NULL, NULL);
		if (near < 0 || setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
			return fail("accept");
		fd = near;
	}
	/* Ends by a signal, or with its client. */
	for (;; len = sizeof from) {
		ssize_t n = tcp ? recv(fd, message, sizeof message, wait)
		                : recvfrom(fd, message, sizeof message, wait, (struct sockaddr *)&from, &len);
		if (n > 0)
			n = tcp ? send(fd, message, (size_t)n, 0) : sendto(fd, message, (size_t)n, 0, (struct sockaddr *)&from, len);
		else if (n == 0 || errno != EAGAIN)
			return n == 0 ? 0 : fail("recv");
	}
}

int main(int argc, char **argv) {
	if (argc == 5 && strcmp(argv[1], "line") == 0)
		return line(atoi(argv[2]), atoi(argv[3]), (uint64_t)atoi(argv[4]));
	if (argc == 5 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2], argv[3], argv[4]);
	if (argc != 6) {
		fprintf(stderr, "usage: roundtrip udp|tcp|uring|udp-block|tcp-block ADDRESS PORT SIZE SECONDS, or serve HOW ADDRESS PORT, "
		                "or line CPU CPU SECONDS\n");
		return 2;
	}
	int tcp = strncmp(argv[1], "tcp", 3) == 0, uring = strcmp(argv[1], "uring") == 0, one = 1;
	int wait = strstr(argv[1], "-block") ? 0 : MSG_DONTWAIT;
	size_t size = (size_t)atoi(argv[4]);
	uint64_t seconds = (uint64_t)atoi(argv[5]);
	struct sockaddr_in to = {0};
	unsigned char message[1472] = {0}, answer[1472];
	if (size < 14 || size > sizeof message || !place(argv[2], argv[3], &to)) {
		errno = EINVAL;
		return fail("arguments");
	}
	int fd = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		return fail("connect");
	if (tcp && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0)
		return fail("TCP_NODELAY");
	if (uring && ring_open(fd) < 0)
		return fail("io_uring");
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
		if ((uring ? ring_do(IORING_OP_SEND, message, size) : send(fd, message, size, 0)) != (ssize_t)size)
			return fail("send");
		size_t got = 0;
		while (got < size) {
			ssize_t n = uring ? ring_do(IORING_OP_RECV, answer + got, size - got)
			                  : recv(fd, answer + got, size - got, wait);
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
