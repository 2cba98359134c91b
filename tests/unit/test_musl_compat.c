/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four libraries do their work in whatever C library this build is linked with. With musl that
 * is not a matter of course (runtime/base/musl_compat.c), and what goes wrong goes wrong silently:
 * an empty text, an unknown name.
 */
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include "tests/unit/test.h"

TEST(libcap_writes_a_set_as_text)
{
	cap_value_t two[] = { CAP_NET_BIND_SERVICE, CAP_CHOWN };
	cap_t caps = cap_init();
	ssize_t len = 0;
	char *text;

	CHECK(caps);
	CHECK_INT(cap_set_flag(caps, CAP_PERMITTED, 2, two, CAP_SET), 0);
	text = cap_to_text(caps, &len);
	CHECK_STR(text, "cap_chown,cap_net_bind_service=p");
	CHECK_INT(len, strlen(text));
	cap_free(text);
	cap_free(caps);
}

TEST(libcap_reads_names_in_either_case)
{
	cap_value_t value = -1;
	char *name;

	CHECK_INT(cap_from_name("cap_sys_admin", &value), 0);
	CHECK_INT(value, CAP_SYS_ADMIN);
	CHECK_INT(cap_from_name("CAP_BPF", &value), 0);
	CHECK_INT(value, 39);
	CHECK(cap_from_name("cap_no_such", &value) != 0);
	/* A capability without a name yet: libcap prints its number with a checked sprintf. */
	name = cap_to_name(60);
	CHECK_STR(name, "60");
	cap_free(name);
}

TEST(libcap_reads_a_text_back)
{
	cap_t caps = cap_from_text("all=p cap_kill,cap_chown+ei");
	cap_flag_value_t on = CAP_CLEAR;

	CHECK(caps);
	CHECK_INT(cap_get_flag(caps, CAP_KILL, CAP_EFFECTIVE, &on), 0);
	CHECK_INT(on, CAP_SET);
	CHECK_INT(cap_get_flag(caps, CAP_MKNOD, CAP_EFFECTIVE, &on), 0);
	CHECK_INT(on, CAP_CLEAR);
	cap_free(caps);
}

TEST(libseccomp_resolves_names_for_two_architectures)
{
	char *name;

	CHECK_INT(seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, "openat"), 257);
	CHECK_INT(seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86, "openat"), 295);
	CHECK_INT(seccomp_syscall_resolve_name_arch(SCMP_ARCH_AARCH64, "openat"), 56);
	CHECK_INT(seccomp_syscall_resolve_name("no_such_call"), __NR_SCMP_ERROR);
	name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, 0);
	CHECK_STR(name, "read");
	free(name);
}

/* The filter as text of BPF instructions, so many bytes: 0 if any step failed. */
static long filter_size(scmp_filter_ctx ctx)
{
	FILE *f = tmpfile();
	long size = 0;

	CHECK(f);
	if (seccomp_export_bpf(ctx, fileno(f)) == 0)
		size = (long)lseek(fileno(f), 0, SEEK_END);
	fclose(f);
	return size;
}

TEST(libseccomp_builds_rules_with_arguments)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	long without, with;

	CHECK(ctx);
	CHECK_INT(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(read), 0), 0);
	without = filter_size(ctx);
	CHECK(without > 0 && without % 8 == 0);
	CHECK_INT(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				   SCMP_A0(SCMP_CMP_MASKED_EQ, 0x7e020000, 0)),
		  0);
	CHECK_INT(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0), 0);
	with = filter_size(ctx);
	CHECK(with > without);
	seccomp_release(ctx);
}

struct seen {
	int ints, strings, depth, deepest;
	long long last;
	double real;
};

static int on_int(void *to, long long n)
{
	struct seen *s = to;

	s->ints++;
	s->last = n;
	return 1;
}

static int on_real(void *to, double d)
{
	((struct seen *)to)->real = d;
	return 1;
}

static int on_string(void *to, const unsigned char *text, size_t len)
{
	struct seen *s = to;

	s->strings += len == 3 && memcmp(text, "\xe2\x82\xac", 3) == 0;
	return 1;
}

static int on_open(void *to)
{
	struct seen *s = to;

	if (++s->depth > s->deepest)
		s->deepest = s->depth;
	return 1;
}

static int on_close(void *to)
{
	((struct seen *)to)->depth--;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_integer = on_int,
	.yajl_double = on_real,
	.yajl_string = on_string,
	.yajl_start_map = on_open,
	.yajl_end_map = on_close,
};

TEST(yajl_parses_and_points_at_a_mistake)
{
	static const char good[] = "{\"a\": {\"b\": [-9007199254740993, 1.5, \"\\u20ac\"]}}";
	static const char bad[] = "{\"a\": [1, 2,,]}";
	struct seen seen = { 0 };
	yajl_handle h = yajl_alloc(&callbacks, NULL, &seen);
	unsigned char *why;

	CHECK(h);
	CHECK_INT(yajl_parse(h, (const unsigned char *)good, strlen(good)), yajl_status_ok);
	CHECK_INT(yajl_complete_parse(h), yajl_status_ok);
	CHECK_INT(seen.ints, 1);
	CHECK_INT(seen.last, -9007199254740993LL);
	CHECK(seen.real == 1.5);
	CHECK_INT(seen.strings, 1);
	CHECK_INT(seen.deepest, 2);
	CHECK_INT(seen.depth, 0);
	yajl_free(h);

	h = yajl_alloc(&callbacks, NULL, &seen);
	CHECK_INT(yajl_parse(h, (const unsigned char *)bad, strlen(bad)), yajl_status_error);
	why = yajl_get_error(h, 1, (const unsigned char *)bad, strlen(bad));
	CHECK_HAS((const char *)why, "unallowed token");
	yajl_free_error(h, why);
	yajl_free(h);
}

TEST(yajl_writes_numbers_and_escapes)
{
	yajl_gen g = yajl_gen_alloc(NULL);
	const unsigned char *text;
	size_t len;

	CHECK(g);
	CHECK_INT(yajl_gen_array_open(g), yajl_gen_status_ok);
	CHECK_INT(yajl_gen_integer(g, -42), yajl_gen_status_ok);
	CHECK_INT(yajl_gen_double(g, 0.25), yajl_gen_status_ok);
	CHECK_INT(yajl_gen_string(g, (const unsigned char *)"a\"\x01", 3), yajl_gen_status_ok);
	CHECK_INT(yajl_gen_array_close(g), yajl_gen_status_ok);
	CHECK_INT(yajl_gen_get_buf(g, &text, &len), yajl_gen_status_ok);
	CHECK_STR((const char *)text, "[-42,0.25,\"a\\\"\\u0001\"]");
	yajl_gen_free(g);
}

TEST(libmnl_builds_a_nested_message)
{
	char buf[512] = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *link;
	const struct nlattr *info, *kind;
	struct nlattr *nest;

	h->nlmsg_type = RTM_NEWLINK;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	link = mnl_nlmsg_put_extra_header(h, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(h, IFLA_IFNAME, "veth0");
	nest = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
	mnl_attr_nest_end(h, nest);
	/* header 16, ifinfomsg 16, name 4 + 6 padded to 12, nest 4 + (4 + 5 padded to 12) */
	CHECK_INT(h->nlmsg_len, 16 + 16 + 12 + 4 + 12);
	info = mnl_attr_next(mnl_nlmsg_get_payload_offset(h, sizeof(*link)));
	CHECK_INT(mnl_attr_get_type(info), IFLA_LINKINFO);
	kind = mnl_attr_get_payload(info);
	CHECK_STR(mnl_attr_get_str(kind), "veth");
}

TEST(libmnl_talks_to_the_kernel)
{
	char buf[8192];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct mnl_socket *s = mnl_socket_open(NETLINK_ROUTE);
	ssize_t len;

	if (!s && errno == EPROTONOSUPPORT)
		SKIP("no netlink here");
	CHECK(s);
	CHECK_INT(mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID), 0);
	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = 7;
	((struct ifinfomsg *)mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg)))->ifi_index =
		1;
	CHECK_INT(mnl_socket_sendto(s, h, h->nlmsg_len), h->nlmsg_len);
	len = mnl_socket_recvfrom(s, buf, sizeof(buf));
	CHECK(len > 0);
	h = (struct nlmsghdr *)buf;
	CHECK(mnl_nlmsg_ok(h, (int)len));
	CHECK_INT(h->nlmsg_type, RTM_NEWLINK);
	CHECK_INT(h->nlmsg_seq, 7);
	mnl_socket_close(s);
}
