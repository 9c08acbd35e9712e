/* What need.sh asks for, with package managers that only write down how they were called. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"
#include "test.h"

#include <string.h>

Suite *need_suite(void);

/* bin/ is the whole PATH; what is in packages/ the managers put there; log has their calls. */
static char scratch[64];

static void stub(const char *name, const char *script)
{
	must("cd '%s' && printf '%%s\\n' '#!/bin/sh' '%s' >bin/%s && chmod +x bin/%s", scratch, script, name, name);
}

static void an_empty_machine(void)
{
	make_scratch(scratch);
	must("cd '%s' && mkdir bin packages && : >log &&"
	     "for tool in sh env cp; do ln -s \"$(command -v $tool)\" bin; done &&"
	     "printf '#!/bin/sh\\n' >packages/pkg-config && chmod +x packages/pkg-config", scratch);
	stub("id", "echo ${STUB_UID:-0}");
	stub("true", "exit 0");
}

static void remove_machine(void)
{
	remove_scratch(scratch);
}

#define INSTALLS "echo \"${0##*/} $*\" >>log; echo begins; cp packages/* bin"
#define REFUSES  "echo \"${0##*/} $*\" >>log; exit 1"

static const char *needs = "pkg-config check crypto";

/* Runs need.sh, for what make test needs unless a test says otherwise, and compares its status and the log. */
static void expect(const char *environment, int status, const char *calls, char output[2000])
{
	char log[2000];
	int got = command(output, 2000, "script=\"$PWD/test/need.sh\"; cd '%s'; %s PATH=\"$PWD/bin\" sh \"$script\" %s",
	                  scratch, environment, needs);

	command(log, sizeof log, "cat '%s/log'", scratch);
	ck_assert_str_eq(log, calls);
	ck_assert_msg(got == status, "status %d: %s", got, output);
}

START_TEST(nothing_is_said_or_done_when_all_is_there)
{
	char output[2000];

	must("cd '%s' && cp packages/* bin", scratch);
	stub("apt-get", INSTALLS);
	expect("", 0, "", output);
	ck_assert_str_eq(output, "");
}
END_TEST

static const struct manager {
	const char *name, *call;
} managers[] = {
	{ "apt-get", "apt-get install -y pkg-config check libssl-dev\n" },
	{ "dnf", "dnf install -y pkgconf-pkg-config check-devel openssl-devel\n" },
	{ "apk", "apk add pkgconf check-dev openssl-dev\n" },
	{ "pacman", "pacman -S --needed --noconfirm pkgconf check openssl\n" },
	{ "brew", "brew install pkgconf check openssl@3\n" },
};

START_TEST(root_installs_with_the_manager_that_is_there)
{
	char output[2000];

	stub(managers[_i].name, INSTALLS);
	expect("", 0, managers[_i].call, output);
}
END_TEST

/* And how to keep it from doing so. */
START_TEST(it_says_what_it_installs_before_it_does)
{
	char output[2000];

	stub("apt-get", INSTALLS);
	expect("", 0, "apt-get install -y pkg-config check libssl-dev\n", output);
	const char *said = strstr(output, "Installing (not with NEED=:, as in make test NEED=:): apt-get install -y pkg-config check libssl-dev\n");
	const char *begun = strstr(output, "begins\n");
	ck_assert_msg(said != NULL && begun != NULL && said < begun, "%s", output);
}
END_TEST

START_TEST(with_need_switched_off_make_asks_for_nothing)
{
	char said[8192];

	must("unset MAKEFLAGS MAKELEVEL; make -n test | grep -q need.sh");
	command(said, sizeof said, "unset MAKEFLAGS MAKELEVEL; for target in run test tsan asan valgrind explore coverage elsewhere trace bench-setup;"
	        "do make -n $target NEED=: | grep need.sh; done");
	ck_assert_str_eq(said, "");
}
END_TEST

static const struct manager with_zmq[] = {
	{ "apt-get", "apt-get install -y libzmq3-dev\n" },
	{ "dnf", "dnf install -y zeromq-devel\n" },
	{ "apk", "apk add zeromq-dev\n" },
	{ "pacman", "pacman -S --needed --noconfirm zeromq\n" },
	{ "brew", "brew install zeromq\n" },
};

START_TEST(zeromq_has_a_name_with_each_manager)
{
	char output[2000];

	needs = "zmq";
	stub(with_zmq[_i].name, INSTALLS);
	expect("", 0, with_zmq[_i].call, output);
}
END_TEST

START_TEST(brew_runs_without_root)
{
	char output[2000];

	stub("brew", INSTALLS);
	expect("STUB_UID=501", 0, "brew install pkgconf check openssl@3\n", output);
}
END_TEST

START_TEST(others_install_through_a_sudo_that_asks_nothing)
{
	char output[2000];

	stub("apt-get", "echo \"$DEBIAN_FRONTEND\" >>log; " INSTALLS);
	stub("sudo", "echo \"sudo $1 $2\" >>log; shift; exec env -u DEBIAN_FRONTEND \"$@\"");
	expect("STUB_UID=1000", 0,
	       "sudo -n true\nsudo -n env\nnoninteractive\napt-get install -y pkg-config check libssl-dev\n", output);
}
END_TEST

START_TEST(who_may_not_install_gets_the_command_to_type)
{
	char output[2000];

	stub("apt-get", INSTALLS);
	stub("sudo", "exit 1");
	expect("STUB_UID=1000", 1, "", output);
	ck_assert_ptr_nonnull(strstr(output, "\n    sudo apt-get install -y pkg-config check libssl-dev\n"));
	must("rm '%s/bin/sudo'", scratch);
	expect("STUB_UID=1000", 1, "", output);
	ck_assert_ptr_nonnull(strstr(output, "\n    su -c 'apt-get install -y pkg-config check libssl-dev'\n"));
}
END_TEST

START_TEST(the_list_of_packages_is_renewed_if_the_first_try_fails)
{
	char output[2000];

	stub("apt-get", "echo \"apt-get $1\" >>log; case $1 in update) : >updated ;; install) [ -f updated ] && cp packages/* bin ;; esac");
	expect("", 0, "apt-get install\napt-get update\napt-get install\n", output);
}
END_TEST

START_TEST(a_failure_gives_the_command_to_type)
{
	char output[2000];

	stub("apk", REFUSES);
	expect("", 1, "apk add pkgconf check-dev openssl-dev\napk update\n", output);
	ck_assert_ptr_nonnull(strstr(output, "\n    apk add pkgconf check-dev openssl-dev\n"));
}
END_TEST

START_TEST(without_a_package_manager_it_names_what_is_missing)
{
	char output[2000];

	expect("", 1, "", output);
	ck_assert_ptr_nonnull(strstr(output, ": pkg-config check crypto\n"));
}
END_TEST

Suite *need_suite(void)
{
	Suite *s = suite_create("need");
	TCase *installing = tcase_create("installing");

	tcase_set_tags(installing, "process");
	tcase_set_timeout(installing, 20);
	tcase_add_checked_fixture(installing, an_empty_machine, remove_machine);
	tcase_add_test(installing, nothing_is_said_or_done_when_all_is_there);
	tcase_add_loop_test(installing, root_installs_with_the_manager_that_is_there, 0, sizeof managers / sizeof managers[0]);
	tcase_add_test(installing, it_says_what_it_installs_before_it_does);
	tcase_add_test(installing, with_need_switched_off_make_asks_for_nothing);
	tcase_add_loop_test(installing, zeromq_has_a_name_with_each_manager, 0, sizeof with_zmq / sizeof with_zmq[0]);
	tcase_add_test(installing, brew_runs_without_root);
	tcase_add_test(installing, others_install_through_a_sudo_that_asks_nothing);
	tcase_add_test(installing, who_may_not_install_gets_the_command_to_type);
	tcase_add_test(installing, the_list_of_packages_is_renewed_if_the_first_try_fails);
	tcase_add_test(installing, a_failure_gives_the_command_to_type);
	tcase_add_test(installing, without_a_package_manager_it_names_what_is_missing);
	suite_add_tcase(s, installing);
	return s;
}
