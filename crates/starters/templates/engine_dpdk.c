/* DPDK: this program drives the port itself. On a real NIC the kernel has lost the device, with its firewall, routes and
 * sockets; over net_af_packet or net_af_xdp the kernel's interface stays, for trying it out.
 *
 * One port, one queue, one flow, IPv4. ARP is done here, since no kernel does it. */
#include <arpa/inet.h>
#include <errno.h>
#include <rte_arp.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

#define PORT 0       /* the only port that is probed */
#define RING 256     /* descriptors of each ring */
#define BUFFERS 2047 /* packet buffers; 2^n − 1 uses the memory best (rte_mempool.h) */
#define HEADERS (sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))

static struct rte_mempool *pool;
static struct rte_ether_addr own_mac, far_mac;
static rte_be32_t own_ip, far_ip;
static rte_be16_t own_port, far_port;
static int reserved = -1, started, far_known;

static char why[256]; /* the last call failed */

static int fail(const char *what, int error)
{
	snprintf(why, sizeof why, "%s: %s", what, rte_strerror(error));
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

/* A name such as net_af_packet0,iface=eth0 is a virtual device, and needs no huge pages; anything else a PCI address. */
static int start_eal(const char *device)
{
	int virtual = strncmp(device, "net_", 4) == 0;
	char *real[] = { "pingpong", "--in-memory", "--no-telemetry", "--log-level=error", "-l", "0", "-a", (char *)device };
	char *vdev[] = { "pingpong", "--no-shconf", "--no-telemetry", "--log-level=error", "-l", "0", "--vdev", (char *)device,
			 "--no-pci", "--no-huge", "-m", "64" };
	/* It runs on the first CPU that this program may use, wherever it was pinned. */
	cpu_set_t allowed;
	char cpu[8] = "0";
	if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
		for (int i = CPU_SETSIZE - 1; i >= 0; i--)
			if (CPU_ISSET(i, &allowed))
				snprintf(cpu, sizeof cpu, "%d", i);
	real[5] = vdev[5] = cpu;
	int n = virtual ? rte_eal_init(12, vdev) : rte_eal_init(8, real);
	return n < 0 ? fail("start DPDK (it needs root, and for a PCI device huge pages and vfio-pci)", rte_errno) : 0;
}

static int start_port(void)
{
	struct rte_eth_conf plain = { 0 };
	if (rte_eth_dev_count_avail() == 0)
		return fail("find the device", ENODEV);
	pool = rte_pktmbuf_pool_create("packets", BUFFERS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, rte_eth_dev_socket_id(PORT));
	if (!pool)
		return fail("make the packet buffers", rte_errno);
	int error = rte_eth_dev_configure(PORT, 1, 1, &plain);
	if (!error)
		error = rte_eth_rx_queue_setup(PORT, 0, RING, rte_eth_dev_socket_id(PORT), NULL, pool);
	if (!error)
		error = rte_eth_tx_queue_setup(PORT, 0, RING, rte_eth_dev_socket_id(PORT), NULL);
	if (!error)
		error = rte_eth_dev_start(PORT);
	if (!error)
		error = rte_eth_macaddr_get(PORT, &own_mac);
	started = !error;
	return error ? fail("start the port", -error) : 0;
}

static int transmit(struct rte_mbuf *packet)
{
	for (int tries = 0; tries < 1000; tries++)
		if (rte_eth_tx_burst(PORT, 0, &packet, 1) == 1)
			return 0;
	rte_pktmbuf_free(packet);
	return fail("send", ENOBUFS);
}

static struct rte_ether_hdr *ethernet(struct rte_mbuf *packet, const struct rte_ether_addr *to, uint16_t type)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(packet, struct rte_ether_hdr *);
	eth->dst_addr = *to;
	eth->src_addr = own_mac;
	eth->ether_type = htons(type);
	return eth;
}

static int send_arp(uint16_t operation, const struct rte_ether_addr *to, rte_be32_t ip)
{
	const struct rte_ether_addr all = { { 255, 255, 255, 255, 255, 255 } };
	struct rte_mbuf *packet = rte_pktmbuf_alloc(pool);
	if (!packet || !rte_pktmbuf_append(packet, sizeof(struct rte_ether_hdr) + sizeof(struct rte_arp_hdr)))
		return fail("send ARP", ENOBUFS);
	struct rte_ether_hdr *eth = ethernet(packet, operation == RTE_ARP_OP_REQUEST ? &all : to, RTE_ETHER_TYPE_ARP);
	*(struct rte_arp_hdr *)(eth + 1) = (struct rte_arp_hdr){
		.arp_hardware = htons(RTE_ARP_HRD_ETHER),
		.arp_protocol = htons(RTE_ETHER_TYPE_IPV4),
		.arp_hlen = 6,
		.arp_plen = 4,
		.arp_opcode = htons(operation),
		.arp_data = { .arp_sha = own_mac, .arp_sip = own_ip, .arp_tha = *to, .arp_tip = ip },
	};
	return transmit(packet);
}

/* Learns the target's address, and answers who asks for ours: no kernel does. */
static void take_arp(const struct rte_arp_hdr *arp)
{
	if (arp->arp_data.arp_sip == far_ip) {
		far_mac = arp->arp_data.arp_sha;
		far_known = 1;
	}
	if (arp->arp_opcode == htons(RTE_ARP_OP_REQUEST) && arp->arp_data.arp_tip == own_ip)
		send_arp(RTE_ARP_OP_REPLY, &arp->arp_data.arp_sha, arp->arp_data.arp_sip);
}

/* The message of a packet of the flow, copied; 0 for any other packet. */
static size_t take(const struct rte_mbuf *packet, void *buffer, size_t room)
{
	size_t len = rte_pktmbuf_data_len(packet);
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(packet, const struct rte_ether_hdr *);
	if (len >= sizeof *eth + sizeof(struct rte_arp_hdr) && eth->ether_type == htons(RTE_ETHER_TYPE_ARP))
		take_arp((const struct rte_arp_hdr *)(eth + 1));
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(eth + 1);
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(ip + 1);
	if (len < HEADERS || eth->ether_type != htons(RTE_ETHER_TYPE_IPV4) || ip->version_ihl != 0x45 ||
	    ip->next_proto_id != IPPROTO_UDP || ip->src_addr != far_ip || udp->src_port != far_port ||
	    udp->dst_port != own_port)
		return 0;
	size_t stated = ntohs(udp->dgram_len);
	if (stated < sizeof *udp || stated - sizeof *udp > len - HEADERS)
		return 0;
	size_t n = stated - sizeof *udp < room ? stated - sizeof *udp : room;
	memcpy(buffer, udp + 1, n);
	return n;
}

static int resolve(const char *target)
{
	char nothing[1];
	const struct rte_ether_addr nobody = { { 0 } };
	for (int tries = 0; tries < 20 && !far_known; tries++) {
		if (send_arp(RTE_ARP_OP_REQUEST, &nobody, far_ip) < 0)
			return -1;
		engine_recv(nothing, 0, engine_now_ns() + 100000000);
	}
	if (far_known)
		return 0;
	snprintf(why, sizeof why, "%s does not answer ARP on this port: wrong cable, or it is behind a router", target);
	return -1;
}

int engine_open(const char *target, uint16_t port, const char *device, const char *local)
{
	if (!device || !local || inet_pton(AF_INET, target, &far_ip) != 1 || inet_pton(AF_INET, local, &own_ip) != 1)
		return fail("name the target, the device and the own address (see README.md)", EINVAL);
	far_port = htons(port);
	own_port = htons((uint16_t)(0xc000 | (getpid() & 0x3fff)));
	/* Where the kernel has this address too (net_af_packet), a socket of its own keeps it from refusing the answers. */
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = own_port, .sin_addr.s_addr = own_ip };
	reserved = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(reserved, (struct sockaddr *)&own, sizeof own) < 0 && errno != EADDRNOTAVAIL)
		return fail("hold the port", errno);
	if (start_eal(device) < 0)
		return -1;
	if (start_port() == 0 && resolve(target) == 0)
		return 0;
	engine_close();
	return -1;
}

int engine_send(const void *message, size_t len)
{
	struct rte_mbuf *packet = rte_pktmbuf_alloc(pool);
	if (!packet || !rte_pktmbuf_append(packet, (uint16_t)(HEADERS + len))) {
		rte_pktmbuf_free(packet);
		return fail("send a message", ENOBUFS);
	}
	struct rte_ether_hdr *eth = ethernet(packet, &far_mac, RTE_ETHER_TYPE_IPV4);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	*ip = (struct rte_ipv4_hdr){
		.version_ihl = 0x45,
		.total_length = htons((uint16_t)(sizeof *ip + sizeof *udp + len)),
		.fragment_offset = htons(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = own_ip,
		.dst_addr = far_ip,
	};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	/* A UDP checksum of 0 means "none" in IPv4 (RFC 768). */
	*udp = (struct rte_udp_hdr){ own_port, far_port, htons((uint16_t)(sizeof *udp + len)), 0 };
	memcpy(udp + 1, message, len);
	return transmit(packet);
}

long engine_recv(void *buffer, size_t room, uint64_t until_ns)
{
	for (;;) {
		struct rte_mbuf *packet;
		if (rte_eth_rx_burst(PORT, 0, &packet, 1) == 1) {
			size_t len = take(packet, buffer, room);
			rte_pktmbuf_free(packet);
			if (len)
				return (long)len;
		}
		if (engine_now_ns() >= until_ns)
			return 0;
	}
}

void engine_close(void)
{
	if (started) {
		rte_eth_dev_stop(PORT);
		rte_eth_dev_close(PORT);
	}
	rte_eal_cleanup();
	close(reserved);
}
