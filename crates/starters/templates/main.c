/* A ping-pong against `lowlat serve`: sends a message, waits for its answer, sends the next. Prints P50 and P99. */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

#define SIZE 64                     /* bytes of a message; the header takes 48 */
#define WARM_UP 100                 /* round trips that are not counted */
#define TIMEOUT_NS UINT64_C(200000000) /* an answer later than this is lost */

/* A probe of lowlat's protocol: `lowlat explain lowlat` has its layout. Put your own message here. */
static void write_probe(uint8_t *m, uint32_t session, uint64_t seq, uint64_t planned)
{
	memset(m, 0, SIZE);
	memcpy(m, "LwLt\x01", 5);
	*(uint32_t *)(m + 8) = htole32(SIZE);
	*(uint32_t *)(m + 12) = htole32(session);
	*(uint64_t *)(m + 16) = htole64(seq);
	*(uint64_t *)(m + 24) = htole64(planned);
}

/* Whether it is the answer to that probe. */
static int is_answer(const uint8_t *m, long len, uint32_t session, uint64_t seq)
{
	return len == SIZE && memcmp(m, "LwLt\x01", 5) == 0 && (m[5] & 1) &&
	       *(const uint32_t *)(m + 12) == htole32(session) && *(const uint64_t *)(m + 16) == htole64(seq);
}

/* The time of one round trip, ns; 0 for one that was lost, -1 on failure. */
static int64_t round_trip(uint32_t session, uint64_t seq)
{
	_Alignas(8) uint8_t message[SIZE], buffer[2048];
	uint64_t sent = engine_now_ns();
	write_probe(message, session, seq, sent);
	if (engine_send(message, SIZE) < 0)
		return -1;
	for (;;) {
		long len = engine_recv(buffer, sizeof buffer, sent + TIMEOUT_NS);
		if (len <= 0)
			return len;
		if (is_answer(buffer, len, session, seq))
			return (int64_t)(engine_now_ns() - sent);
	}
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static long number(const char *text, long least, long most)
{
	char *end;
	errno = 0;
	long n = strtol(text, &end, 10);
	if (errno || *end || end == text || n < least || n > most) {
		fprintf(stderr, "pingpong: %s is not a whole number from %ld to %ld\n", text, least, most);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 6) {
		fprintf(stderr, "usage: pingpong TARGET [PORT [COUNT [DEVICE [LOCAL]]]]\n");
		return 2;
	}
	uint16_t port = (uint16_t)(argc > 2 ? number(argv[2], 1, 65535) : 8620);
	long count = argc > 3 ? number(argv[3], 1, 100000000) : 10000;
	if (engine_open(argv[1], port, argc > 4 ? argv[4] : NULL, argc > 5 ? argv[5] : NULL) < 0) {
		fprintf(stderr, "pingpong: %s\n", engine_error());
		return 2;
	}
	int64_t *times = calloc((size_t)count, sizeof *times);
	if (!times) {
		fprintf(stderr, "pingpong: no memory for %ld round trips\n", count);
		return 2;
	}
	uint32_t session = (uint32_t)engine_now_ns() ^ (uint32_t)getpid();
	long answered = 0, lost = 0;
	int64_t ns = 0;
	for (long seq = 0; seq < WARM_UP + count && ns >= 0; seq++) {
		ns = round_trip(session, (uint64_t)seq);
		if (seq < WARM_UP || ns < 0)
			continue;
		if (ns > 0)
			times[answered++] = ns;
		else
			lost++;
	}
	if (ns < 0)
		fprintf(stderr, "pingpong: %s\n", engine_error());
	engine_close();
	if (ns < 0)
		return 2;
	if (answered == 0) {
		fprintf(stderr, "pingpong: no answer from %s port %d; start `lowlat serve` there\n", argv[1], port);
		return 1;
	}
	qsort(times, (size_t)answered, sizeof *times, by_size);
	/* 1000 round trips have ten beyond P99: fewer do not support it. */
	printf("P50 %.2f µs, P99 %.2f µs, %ld answered, %ld lost\n", (double)times[answered / 2] / 1e3,
	       (double)times[answered * 99 / 100] / 1e3, answered, lost);
	free(times);
	return 0;
}
