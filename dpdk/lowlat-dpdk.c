/* lowlat-dpdk: moves frames through one DPDK port for the `dpdk` engine of lowlat.
 *
 * A program of its own, because the burst functions of DPDK are inline in its headers, because its libraries have another
 * name in each Debian release, because EAL pins its caller and starts threads, and because a static lowlat cannot dlopen.
 * lowlat starts it with the arguments of EAL; file descriptor 0 is a SOCK_SEQPACKET socket to lowlat. It ends when that
 * socket is closed. It knows neither IP nor UDP: lowlat builds each frame and says which frames it waits for.
 *
 * Each request and each answer is one message, little-endian:
 *   request: op u8, zero u8[3], len u32, ns u64, then len bytes
 *     'X' send the frame, and wait up to ns for one that fits    'S' send the frame
 *     'R' wait for a frame until CLOCK_MONOTONIC is ns           'P' wait for frames that fit: len/2 bytes, len/2 of mask
 *     'A' answer ARP for this IPv4 address                       'E' from now on answer probes, see struct far_end
 *     'C' how many were answered: in `sent`
 *   answer: kind u8, got u8, zero u8[2], len u32, sent u64, at u64, then len bytes
 *     'H' ready: 6 bytes of MAC, then the driver's name          'F' a frame, or none where got is 0
 *     'E' an error, as text; nothing was sent
 * Both stamps are read here, on CLOCK_MONOTONIC: `sent` before the frame is handed to the port, `at` after it came.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

enum { FRAME = 2048 - RTE_PKTMBUF_HEADROOM, PATTERN = 64, BURST = 32, RING = 1024, TRIES = 100000 };
/* net_af_xdp fails without a word where its pool is small: its fill ring alone takes 4096. */
enum { BUFFERS = 16383, CACHE = 256 };
static const uint64_t LONGEST_WAIT = 60ULL * 1000 * 1000 * 1000;

struct request { uint8_t op, zero[3]; uint32_t len; uint64_t ns; uint8_t bytes[FRAME]; };
struct answer { uint8_t kind, got, zero[2]; uint32_t len; uint64_t sent, at; uint8_t bytes[FRAME]; };
enum { REQUEST_HEAD = 16, ANSWER_HEAD = 24 };

static uint16_t port;
static struct rte_mempool *pool;
static struct rte_ether_addr mac;
static uint8_t pattern[PATTERN], mask[PATTERN];
static uint32_t pattern_len;
static uint8_t arp_ip[4];
static int arp_on;
static struct answer out;
/* A far end: its IPv4 address and port, and what a probe to it looks like and becomes; numbers of a message are little-endian.
 * lowlat-transport-dpdk/src/responder.rs writes it. */
struct far_end { uint8_t ip[4], port[2], length_at, stamps_at, shortest, zero, magic[4], probe[4], answer[4]; };
static struct far_end far_end;
static int answers;
static uint64_t answered;
/* Looks at the port between two looks at the socket to lowlat, which cost a system call. */
enum { LOOKS = 4096 };
/* Frames of a burst that come after the one that was waited for stay for the next look. */
static struct rte_mbuf *burst[BURST];
static uint16_t burst_at, burst_len;

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static int tell(uint8_t kind, int got, uint64_t sent, uint64_t at, uint32_t len)
{
	out.kind = kind;
	out.got = (uint8_t)got;
	out.len = len;
	out.sent = sent;
	out.at = at;
	return send(0, &out, ANSWER_HEAD + len, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static int fail(const char *what, int code)
{
	const char *why = code ? rte_strerror(code < 0 ? -code : code) : "";
	int n = snprintf((char *)out.bytes, FRAME, "%s%s%s", what, code ? ": " : "", why);
	return tell('E', 0, 0, 0, (uint32_t)(n < 0 ? 0 : n < FRAME ? n : FRAME - 1));
}

/* The frame as it is; 0 where the port did not take it. */
static uint64_t hand_over(const uint8_t *frame, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	char *data = m ? rte_pktmbuf_append(m, (uint16_t)len) : NULL;
	if (!data) {
		rte_pktmbuf_free(m);
		return 0;
	}
	memcpy(data, frame, len);
	uint64_t at = now();
	for (int i = 0; i < TRIES; i++)
		if (rte_eth_tx_burst(port, 0, &m, 1) == 1)
			return at;
	rte_pktmbuf_free(m);
	return 0;
}

/* Answers who has our address: the kernel sees no frame of a port that is DPDK's. */
static void answer_arp(const uint8_t *f, uint32_t len)
{
	static const uint8_t asks[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
	uint8_t reply[60] = {0};
	if (!arp_on || len < 42 || memcmp(f + 12, asks, sizeof asks) || memcmp(f + 38, arp_ip, 4))
		return;
	memcpy(reply, f + 6, 6);
	memcpy(reply + 6, mac.addr_bytes, 6);
	memcpy(reply + 12, asks, sizeof asks);
	reply[21] = 2;
	memcpy(reply + 22, mac.addr_bytes, 6);
	memcpy(reply + 28, arp_ip, 4);
	memcpy(reply + 32, f + 22, 10);
	hand_over(reply, sizeof reply);
}

static uint32_t number16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }

/* The sum of 16-bit words in the processor's order: one's complement sums are the same in either (RFC 1071, 2B). */
static uint32_t sum(const uint8_t *p, uint32_t len)
{
	uint32_t s = 0;
	uint16_t word;
	for (uint32_t i = 0; i < len; i += 2) {
		memcpy(&word, p + i, 2);
		s += word;
	}
	return s;
}

static uint16_t folded(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

/* Whether a frame is a plain probe to this far end, with the same conditions as the XDP program of `serve --xdp`: unfragmented
 * UDP over IPv4 without options, to our address and port, from a unicast source (RFC 1122, 3.2.1.3) and another port that is
 * one, and all lengths agree. */
static int is_probe(const uint8_t *f, uint32_t len)
{
	const uint8_t *message = f + 42;
	uint32_t own;
	if (len < 42u + far_end.shortest || memcmp(f, mac.addr_bytes, 6) || (f[6] & 1) || f[12] != 8 || f[13])
		return 0;
	if (f[14] != 0x45 || (f[20] & 0x3f) || f[21] || f[23] != 17 || !f[26] || f[26] == 127 || f[26] >= 224)
		return 0;
	if (memcmp(f + 30, far_end.ip, 4) || memcmp(f + 36, far_end.port, 2) || !memcmp(f + 34, far_end.port, 2) ||
	    !number16(f + 34) || number16(f + 16) + 14 != len || number16(f + 38) + 34 != len)
		return 0;
	memcpy(&own, message + far_end.length_at, 4);
	return own == len - 42 && !memcmp(message, far_end.magic, 4) && !memcmp(message + 4, far_end.probe, 4);
}

static void swap(uint8_t *a, uint8_t *b, uint32_t len)
{
	uint8_t kept[6];
	memcpy(kept, a, len);
	memcpy(a, b, len);
	memcpy(b, kept, len);
}

/* Makes the answer of a probe: as long, addresses and ports swapped, which leaves each checksum right, with flag and stamps.
 * The checksum is carried on (RFC 1624), so that what was damaged before stays visibly so. */
static void make_answer(uint8_t *f, uint64_t at)
{
	static const uint8_t udp[2] = {0, 17};
	uint8_t *flags = f + 46, *stamps = f + 42 + far_end.stamps_at;
	uint32_t before = sum(flags, 4) + sum(stamps, 16);
	uint16_t check;
	memcpy(&check, f + 40, 2);
	/* A sender whose checksums its device was to compute leaves the sum of the pseudo-header there (CHECKSUM_PARTIAL,
	 * Documentation/networking/checksum-offloads.rst); over veth nothing computes them. */
	int missing = check == folded(sum(f + 26, 8) + sum(udp, 2) + sum(f + 38, 2));
	swap(f, f + 6, 6);
	swap(f + 26, f + 30, 4);
	swap(f + 34, f + 36, 2);
	memcpy(flags, far_end.answer, 4);
	memcpy(stamps, &at, 8);
	uint64_t leaves = now();
	memcpy(stamps + 8, &leaves, 8);
	if (missing) {
		check = 0;
	} else if (check) {
		check = (uint16_t)~folded((uint16_t)~check + (uint32_t)(uint16_t)~folded(before) + sum(flags, 4) + sum(stamps, 16));
		/* 0 says that there is none (RFC 768). */
		if (!check)
			check = 0xffff;
	}
	memcpy(f + 40, &check, 2);
}

/* Answers what one burst holds: probes go back in the buffers that they came in. */
static void answer_burst(void)
{
	struct rte_mbuf *frames[BURST];
	uint16_t count = rte_eth_rx_burst(port, 0, frames, BURST), ours = 0, sent = 0;
	if (!count)
		return;
	uint64_t at = now();
	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *m = frames[i];
		uint32_t len = rte_pktmbuf_pkt_len(m);
		uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
		if (rte_pktmbuf_is_contiguous(m) && is_probe(f, len)) {
			make_answer(f, at);
			frames[ours++] = m;
			continue;
		}
		if (rte_pktmbuf_is_contiguous(m))
			answer_arp(f, len);
		rte_pktmbuf_free(m);
	}
	for (int i = 0; i < TRIES && sent < ours; i++)
		sent += rte_eth_tx_burst(port, 0, frames + sent, ours - sent);
	answered += sent;
	while (sent < ours)
		rte_pktmbuf_free(frames[sent++]);
}

static int fits(const uint8_t *f, uint32_t len)
{
	if (len < pattern_len)
		return 0;
	for (uint32_t i = 0; i < pattern_len; i++)
		if ((f[i] ^ pattern[i]) & mask[i])
			return 0;
	return 1;
}

/* The next frame that fits, into `out`; its length, or -1 where none is there now. */
static int look(uint64_t *at)
{
	if (burst_at == burst_len) {
		burst_at = 0;
		burst_len = rte_eth_rx_burst(port, 0, burst, BURST);
		if (burst_len == 0)
			return -1;
	}
	*at = now();
	while (burst_at < burst_len) {
		struct rte_mbuf *m = burst[burst_at++];
		uint32_t len = rte_pktmbuf_pkt_len(m);
		const uint8_t *f = len <= FRAME ? rte_pktmbuf_read(m, 0, len, out.bytes) : NULL;
		int ours = f && fits(f, len);
		if (ours && f != out.bytes)
			memcpy(out.bytes, f, len);
		else if (f)
			answer_arp(f, len);
		rte_pktmbuf_free(m);
		if (ours)
			return (int)len;
	}
	return -1;
}

static int wait_for_frame(uint64_t sent, uint64_t until)
{
	uint64_t at = 0, begin = now();
	if (until > begin + LONGEST_WAIT)
		until = begin + LONGEST_WAIT;
	for (;;) {
		for (int i = 0; i < 16; i++) {
			int len = look(&at);
			if (len >= 0)
				return tell('F', 1, sent, at, (uint32_t)len);
		}
		if (now() >= until)
			return tell('F', 0, sent, 0, 0);
	}
}

static int send_frame(const struct request *r, int wait)
{
	if (r->len < 14)
		return fail("a frame of less than its header", 0);
	uint64_t sent = hand_over(r->bytes, r->len);
	if (!sent)
		return fail("the port took no frame", 0);
	return wait ? wait_for_frame(sent, sent + (r->ns < LONGEST_WAIT ? r->ns : LONGEST_WAIT)) : tell('F', 0, sent, 0, 0);
}

static int serve(const struct request *r)
{
	uint64_t at;
	if (answers && r->op != 'C')
		return fail("the port answers as a far end", 0);
	switch (r->op) {
	case 'X':
		/* What came late belongs to an earlier probe, and a poll just before makes its code warm. */
		while (look(&at) >= 0)
			;
		return send_frame(r, 1);
	case 'S':
		return send_frame(r, 0);
	case 'R':
		return wait_for_frame(0, r->ns);
	case 'P':
		if (r->len % 2 || r->len / 2 > PATTERN)
			return fail("a pattern of another length", 0);
		pattern_len = r->len / 2;
		memcpy(pattern, r->bytes, pattern_len);
		memcpy(mask, r->bytes + pattern_len, pattern_len);
		return tell('F', 0, 0, 0, 0);
	case 'A':
		if (r->len != 4)
			return fail("an address of another length", 0);
		memcpy(arp_ip, r->bytes, 4);
		arp_on = 1;
		return tell('F', 0, 0, 0, 0);
	case 'E':
		if (r->len != sizeof far_end)
			return fail("a far end of another length", 0);
		memcpy(&far_end, r->bytes, sizeof far_end);
		if (far_end.length_at + 4 > far_end.shortest || far_end.stamps_at + 16 > far_end.shortest || far_end.stamps_at % 2 ||
		    far_end.shortest < 8)
			return fail("a far end whose messages do not hold their fields", 0);
		answers = 1;
		return tell('F', 0, 0, 0, 0);
	case 'C':
		return tell('F', 0, answered, 0, 0);
	default:
		return fail("no such request", 0);
	}
}

static int open_port(void)
{
	struct rte_eth_conf conf;
	struct rte_eth_dev_info info;
	int rc;
	memset(&conf, 0, sizeof conf);
	port = (uint16_t)rte_eth_find_next(0);
	if (port >= RTE_MAX_ETHPORTS)
		return fail("EAL found no port: no driver of DPDK took it", 0), -1;
	pool = rte_pktmbuf_pool_create("lowlat", BUFFERS, CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!pool)
		return fail("make the pool of buffers", rte_errno), -1;
	if ((rc = rte_eth_dev_info_get(port, &info)) < 0 || (rc = rte_eth_dev_configure(port, 1, 1, &conf)) < 0)
		return fail("configure the port", rc), -1;
	if ((rc = rte_eth_rx_queue_setup(port, 0, RING, SOCKET_ID_ANY, NULL, pool)) < 0)
		return fail("make the receive queue", rc), -1;
	if ((rc = rte_eth_tx_queue_setup(port, 0, RING, SOCKET_ID_ANY, NULL)) < 0)
		return fail("make the transmit queue", rc), -1;
	if ((rc = rte_eth_dev_start(port)) < 0)
		return fail("start the port", rc), -1;
	/* A NIC needs some seconds for its link; a port that reports none is up all the same. */
	struct rte_eth_link link;
	for (int i = 0; i < 100 && rte_eth_link_get_nowait(port, &link) == 0 && !link.link_status; i++)
		usleep(50 * 1000);
	rte_eth_macaddr_get(port, &mac);
	memcpy(out.bytes, mac.addr_bytes, 6);
	int n = snprintf((char *)out.bytes + 6, 64, "%s", info.driver_name);
	return tell('H', 1, 0, 0, 6 + (uint32_t)(n < 63 ? n : 63));
}

static volatile sig_atomic_t stopped;
static void stop(int number) { (void)number; stopped = 1; }

int main(int argc, char **argv)
{
	static struct request r;
	struct sigaction ends = {.sa_handler = stop};
	/* The terminal's signal goes to lowlat too, which closes the socket. */
	signal(SIGINT, SIG_IGN);
	/* Where lowlat was killed nobody reads what DPDK writes as it closes the port. */
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &ends, NULL);
	int rc = rte_eal_init(argc, argv);
	if (rc < 0) {
		fail("start EAL", rte_errno);
		return 1;
	}
	/* Without shared configuration EAL keeps nothing in its folder, and a killed process could not remove it later. */
	char parent[256];
	const char *folder = rte_eal_get_runtime_dir();
	if (rmdir(folder) == 0 && snprintf(parent, sizeof parent, "%s", folder) < (int)sizeof parent) {
		char *slash = strrchr(parent, '/');
		if (slash)
			*slash = 0;
		rmdir(parent);
	}
	rc = open_port();
	while (rc == 0 && !stopped) {
		for (int i = 0; answers && i < LOOKS; i++)
			answer_burst();
		ssize_t n = recv(0, &r, sizeof r, answers ? MSG_DONTWAIT : 0);
		if (n < 0 && (errno == EINTR || (answers && errno == EAGAIN)))
			continue;
		if (n == 0)
			break;
		if (n < REQUEST_HEAD || r.len > FRAME || (size_t)n != REQUEST_HEAD + r.len)
			rc = n < 0 ? -1 : fail("a request of another length", 0);
		else
			rc = serve(&r);
	}
	if (pool && port < RTE_MAX_ETHPORTS) {
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
	}
	rte_eal_cleanup();
	return rc == 0 ? 0 : 1;
}
