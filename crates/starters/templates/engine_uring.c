/* io_uring on a connected UDP socket. No bypass: every packet takes the kernel's stack; what is saved are system calls.
 * One receive is always armed, and its successor is submitted together with the next send. */
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

enum { SENT = 1, RECEIVED = 2 };

static struct io_uring ring;
static int fd = -1, armed;
static char incoming[2048];
static char outgoing[2048]; /* the kernel may read it until the send has completed */

static char why[256]; /* the last call failed */

static int fail(const char *what, int error)
{
	snprintf(why, sizeof why, "%s: %s", what, strerror(error));
	return -1;
}

const char *engine_error(void)
{
	return why;
}

uint64_t engine_now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

int engine_open(const char *target, uint16_t port, const char *device, const char *local)
{
	(void)device, (void)local;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	if (inet_pton(AF_INET, target, &to.sin_addr) != 1)
		return fail(target, EINVAL);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		return fail("open a socket", errno);
	/* With deferred task work (Linux 6.1) a completion does not interrupt the thread that waits for it. */
	int error = io_uring_queue_init(8, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	if (error == -EINVAL)
		error = io_uring_queue_init(8, &ring, 0);
	if (error < 0)
		return fail("open a ring (sysctl kernel.io_uring_disabled, or a seccomp filter, may forbid it)", -error);
	return 0;
}

static void arm(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_recv(sqe, fd, incoming, sizeof incoming, 0);
	io_uring_sqe_set_data64(sqe, RECEIVED);
	armed = 1;
}

int engine_send(const void *message, size_t len)
{
	if (len > sizeof outgoing)
		return fail("send a message", EMSGSIZE);
	if (!armed)
		arm();
	memcpy(outgoing, message, len);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, fd, outgoing, len, 0);
	io_uring_sqe_set_data64(sqe, SENT);
	int n = io_uring_submit(&ring);
	return n < 0 ? fail("submit", -n) : 0;
}

long engine_recv(void *buffer, size_t room, uint64_t until_ns)
{
	for (;;) {
		struct io_uring_cqe *cqe;
		uint64_t now = engine_now_ns(), left = until_ns > now ? until_ns - now : 0;
		struct __kernel_timespec limit = { (long long)(left / 1000000000), (long long)(left % 1000000000) };
		int error = io_uring_wait_cqe_timeout(&ring, &cqe, &limit);
		if (error == -ETIME)
			return 0;
		if (error == -EINTR)
			continue;
		if (error < 0)
			return fail("wait for a completion", -error);
		uint64_t what = io_uring_cqe_get_data64(cqe);
		int result = cqe->res;
		io_uring_cqe_seen(&ring, cqe);
		if (result < 0)
			return fail(what == SENT ? "send" : "receive", -result);
		if (what != RECEIVED)
			continue;
		size_t len = (size_t)result < room ? (size_t)result : room;
		memcpy(buffer, incoming, len);
		arm(); /* goes out with the next submission */
		return (long)len;
	}
}

void engine_close(void)
{
	io_uring_queue_exit(&ring);
	close(fd);
}
