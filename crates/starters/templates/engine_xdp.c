/* AF_XDP: the packets of one flow go from the driver to this program's memory, past the kernel's stack; all others go on
 * to the kernel. The program that sorts them is attached by a BPF link, which is gone with this process, however it ends.
 *
 * One queue, one flow, IPv4. The kernel finds the route and the neighbour. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "engine.h"

#define CHUNK 2048 /* bytes of a frame's place in the shared memory */
#define RX 64      /* frames that the kernel fills */
#define TX 64      /* frames that it sends, behind them in the memory */
#define QUEUE 0    /* the receive queue whose packets are taken */

struct frame {
	struct ether_header eth;
	struct iphdr ip;
	struct udphdr udp;
	uint8_t message[];
} __attribute__((packed));

static struct xsk_umem *umem;
static struct xsk_socket *xsk;
static struct xsk_ring_prod fill, tx;
static struct xsk_ring_cons done, rx;
static uint8_t *memory;
static int reserved = -1, map = -1, program = -1, attached = -1;
static unsigned next_tx, in_flight;
static struct frame header; /* of every packet that is sent */

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

/* An ordinary socket holds the port, has the kernel choose route and source, and resolves the neighbour by its first
 * datagram. */
static int reserve(struct sockaddr_in *to, struct sockaddr_in *from)
{
	socklen_t len = sizeof *from;
	reserved = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (reserved < 0 || connect(reserved, (struct sockaddr *)to, sizeof *to) < 0 ||
	    getsockname(reserved, (struct sockaddr *)from, &len) < 0)
		return fail("find a route to the target", errno);
	if (send(reserved, "", 1, 0) < 0)
		return fail("send to the target", errno);
	return 0;
}

/* The target's address on the link, from the kernel's table: an ARP answer takes a moment. A target behind a router has
 * none; then the router's is to be looked up here instead. */
static int neighbour(const char *target, const char *device, uint8_t *mac)
{
	for (int tries = 0; tries < 100; tries++, usleep(10000)) {
		FILE *table = fopen("/proc/net/arp", "r");
		if (!table)
			return fail("read /proc/net/arp", errno);
		char line[256], ip[64], dev[64];
		unsigned flags, m[6];
		int found = 0;
		while (!found && fgets(line, sizeof line, table))
			found = sscanf(line, "%63s %*s 0x%x %x:%x:%x:%x:%x:%x %*s %63s", ip, &flags, m, m + 1, m + 2, m + 3,
				       m + 4, m + 5, dev) == 9 &&
				(flags & 2) && !strcmp(ip, target) && !strcmp(dev, device);
		fclose(table);
		for (int i = 0; found && i < 6; i++)
			mac[i] = (uint8_t)m[i];
		if (found)
			return 0;
	}
	snprintf(why, sizeof why, "%s is no neighbour on %s: it does not answer ARP there, or is behind a router", target,
		device);
	return -1;
}

/* Ones' complement sum of the IP header (RFC 1071). */
static uint16_t checksum(const void *data, size_t len)
{
	const uint16_t *words = data;
	uint32_t sum = 0;
	for (size_t i = 0; i < len / 2; i++)
		sum += words[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The program, instruction by instruction, so that no compiler for BPF is needed: what is no UDP packet of the flow
 * goes on to the kernel. */
#define OP(c, d, s, o, i) ((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (int)(i) })
#define LOAD(size, dst, src, at) OP(BPF_LDX | (size) | BPF_MEM, dst, src, at, 0)
#define TO_PASS 0x7fff /* a jump whose distance is put in at the end */
#define UNLESS(reg, value) OP(BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, TO_PASS, value)

static int load(const struct sockaddr_in *to, const struct sockaddr_in *from)
{
	struct bpf_insn code[] = {
		OP(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0), /* r6 = context */
		LOAD(BPF_W, 2, 1, 0),                        /* r2 = packet */
		LOAD(BPF_W, 3, 1, 4),                        /* r3 = its end */
		OP(BPF_ALU64 | BPF_MOV | BPF_X, 4, 2, 0, 0),
		OP(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, sizeof(struct frame)),
		OP(BPF_JMP | BPF_JGT | BPF_X, 4, 3, TO_PASS, 0), /* shorter than the headers */
		LOAD(BPF_H, 0, 2, 12), UNLESS(0, htons(ETHERTYPE_IP)),
		LOAD(BPF_B, 0, 2, 14), UNLESS(0, 0x45), /* IPv4 without options */
		LOAD(BPF_B, 0, 2, 23), UNLESS(0, IPPROTO_UDP),
		LOAD(BPF_W, 0, 2, 26), UNLESS(0, to->sin_addr.s_addr),
		LOAD(BPF_H, 0, 2, 34), UNLESS(0, to->sin_port),
		LOAD(BPF_H, 0, 2, 36), UNLESS(0, from->sin_port),
		LOAD(BPF_W, 2, 6, 16), /* r2 = receive queue */
		OP(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map), OP(0, 0, 0, 0, 0),
		OP(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, XDP_PASS), /* where no socket has the queue */
		OP(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map),
		OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
		OP(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS),
		OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	int n = sizeof code / sizeof code[0];
	for (int i = 0; i < n; i++)
		if (code[i].off == TO_PASS)
			code[i].off = (short)(n - 2 - i - 1);
	program = bpf_prog_load(BPF_PROG_TYPE_XDP, "one_flow", "Dual BSD/GPL", code, (size_t)n, NULL);
	return program < 0 ? fail("load the XDP program (it needs root)", errno) : 0;
}

/* In the driver where it can, else in the kernel's generic hook. Somebody else's program is not replaced. */
static int attach(int ifindex)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
	attached = bpf_link_create(program, ifindex, BPF_XDP, &options);
	if (attached < 0 && errno != EBUSY && errno != EEXIST) {
		options.flags = XDP_FLAGS_SKB_MODE;
		attached = bpf_link_create(program, ifindex, BPF_XDP, &options);
	}
	return attached < 0 ? fail("attach the XDP program", errno) : 0;
}

static int open_socket(const char *device)
{
	struct xsk_umem_config sizes = { RX, TX, CHUNK, XSK_UMEM__DEFAULT_FRAME_HEADROOM, 0 };
	struct xsk_socket_config config = {
		.rx_size = RX,
		.tx_size = TX,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP, /* zero-copy where the driver has it, else copies */
	};
	uint32_t at;
	int error = posix_memalign((void **)&memory, (size_t)getpagesize(), (RX + TX) * CHUNK);
	if (error)
		return fail("get memory", error);
	error = xsk_umem__create(&umem, memory, (RX + TX) * CHUNK, &fill, &done, &sizes);
	if (error)
		return fail("share memory with the kernel", -error);
	/* Before the socket is bound: a driver that finds nothing to fill may sleep. */
	if (xsk_ring_prod__reserve(&fill, RX, &at) != RX)
		return fail("fill the ring", ENOSPC);
	for (uint32_t i = 0; i < RX; i++)
		*xsk_ring_prod__fill_addr(&fill, at + i) = (uint64_t)i * CHUNK;
	xsk_ring_prod__submit(&fill, RX);
	error = xsk_socket__create(&xsk, device, QUEUE, umem, &rx, &tx, &config);
	if (error)
		return fail("bind the AF_XDP socket", -error);
	int fd = xsk_socket__fd(xsk), queue = QUEUE;
	return bpf_map_update_elem(map, &queue, &fd, BPF_ANY) ? fail("give the queue to the socket", errno) : 0;
}

static int open_all(const char *target, uint16_t port, const char *device)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) }, from;
	struct ifreq own = { 0 };
	if (!device || strlen(device) >= sizeof own.ifr_name)
		return fail("name the interface as the fourth argument", EINVAL);
	if (inet_pton(AF_INET, target, &to.sin_addr) != 1)
		return fail(target, EINVAL);
	if (reserve(&to, &from) < 0 || neighbour(target, device, header.eth.ether_dhost) < 0)
		return -1;
	strcpy(own.ifr_name, device);
	if (ioctl(reserved, SIOCGIFHWADDR, &own) < 0)
		return fail(device, errno);
	memcpy(header.eth.ether_shost, own.ifr_hwaddr.sa_data, 6);
	header.eth.ether_type = htons(ETHERTYPE_IP);
	header.ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .frag_off = htons(IP_DF),
				    .saddr = from.sin_addr.s_addr, .daddr = to.sin_addr.s_addr };
	/* A UDP checksum of 0 means "none" in IPv4 (RFC 768). */
	header.udp = (struct udphdr){ .source = from.sin_port, .dest = to.sin_port };
	map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "queues", 4, 4, 64, NULL);
	if (map < 0)
		return fail("make a map of queues (it needs root)", errno);
	if (load(&to, &from) < 0 || attach((int)if_nametoindex(device)) < 0)
		return -1;
	return open_socket(device);
}

int engine_open(const char *target, uint16_t port, const char *device, const char *local)
{
	(void)local;
	if (open_all(target, port, device) == 0)
		return 0;
	engine_close();
	return -1;
}

int engine_send(const void *message, size_t len)
{
	uint32_t at;
	if (len > CHUNK - sizeof(struct frame))
		return fail("send a message", EMSGSIZE);
	uint32_t sent = xsk_ring_cons__peek(&done, TX, &at);
	xsk_ring_cons__release(&done, sent);
	in_flight -= sent;
	if (in_flight == TX || xsk_ring_prod__reserve(&tx, 1, &at) != 1)
		return fail("send a message", ENOBUFS);
	uint64_t place = (uint64_t)(RX + next_tx++ % TX) * CHUNK;
	struct frame *f = (struct frame *)(memory + place);
	*f = header;
	f->ip.tot_len = htons((uint16_t)(sizeof(struct iphdr) + sizeof(struct udphdr) + len));
	f->ip.check = checksum(&f->ip, sizeof f->ip);
	f->udp.len = htons((uint16_t)(sizeof(struct udphdr) + len));
	memcpy(f->message, message, len);
	*xsk_ring_prod__tx_desc(&tx, at) = (struct xdp_desc){ .addr = place, .len = (uint32_t)(sizeof *f + len) };
	xsk_ring_prod__submit(&tx, 1);
	in_flight++;
	/* In copy mode this call is the send; a zero-copy driver that is awake needs none. */
	if (xsk_ring_prod__needs_wakeup(&tx) && sendto(xsk_socket__fd(xsk), NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
	    errno != EAGAIN && errno != EBUSY && errno != ENOBUFS)
		return fail("send", errno);
	return 0;
}

long engine_recv(void *buffer, size_t room, uint64_t until_ns)
{
	uint32_t at;
	while (xsk_ring_cons__peek(&rx, 1, &at) == 0) {
		/* It spins: the core is the price. poll(2) on the socket would sleep instead. */
		if (xsk_ring_prod__needs_wakeup(&fill))
			recvfrom(xsk_socket__fd(xsk), NULL, 0, MSG_DONTWAIT, NULL, NULL);
		if (engine_now_ns() >= until_ns)
			return 0;
	}
	const struct xdp_desc *got = xsk_ring_cons__rx_desc(&rx, at);
	uint64_t place = got->addr;
	const struct frame *f = xsk_umem__get_data(memory, place);
	size_t len = got->len < sizeof *f ? 0 : got->len - sizeof *f, stated = ntohs(f->udp.len);
	if (stated < sizeof f->udp || stated - sizeof f->udp > len)
		len = 0; /* longer than the packet */
	else
		len = stated - sizeof f->udp; /* without the padding of a short frame */
	len = len < room ? len : room;
	memcpy(buffer, f->message, len);
	xsk_ring_cons__release(&rx, 1);
	/* The frame is the kernel's again. There is always room: it came from there. */
	if (xsk_ring_prod__reserve(&fill, 1, &at) == 1) {
		*xsk_ring_prod__fill_addr(&fill, at) = place - place % CHUNK;
		xsk_ring_prod__submit(&fill, 1);
	}
	return len ? (long)len : engine_recv(buffer, room, until_ns);
}

void engine_close(void)
{
	close(attached); /* first: from here on the kernel has its packets again */
	if (xsk)
		xsk_socket__delete(xsk);
	if (umem)
		xsk_umem__delete(umem);
	close(program);
	close(map);
	close(reserved);
	free(memory);
}
