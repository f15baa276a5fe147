// SPDX-License-Identifier: Apache-2.0
// Three OSDs with a copy of each object: one of them stands still, is cut off, dies. Ceph leaves it
// out after a while, and the LUN goes on with what the other two have.
//
// The OSDs are in network namespaces, so that one can be cut off: tests/rbd/cluster with
// BALLAST_CEPH_NETNS. Without them, exit 77.
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "tests/rbd/luns.h"
#include "tests/rbd/process.h"
#include "tests/ring/steady_load.h"
#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::rbd_test;
using namespace ballast::ring_test;
using Clock = std::chrono::steady_clock;

namespace {

std::string namespace_of_osd_1() {
  const char* const prefix = std::getenv("BALLAST_CEPH_NETNS");
  return prefix == nullptr ? "" : prefix + std::string{"1"};
}
void set_link(const char* state) {
  assert_true(shell("ip -n " + namespace_of_osd_1() + " link set eth0 " + state));
}

bool is_up(const char* osd) {
  std::string said;
  assert_true(shell("ceph osd dump", &said));
  return said.find(std::string{osd} + " up ") != std::string::npos;
}

// Load before, during and after the trouble of osd.1. It must go on before `mend`.
void survive(const std::string& image, const std::function<void()>& begin,
             const std::function<void()>& mend) {
  make_image(image);
  const auto lun = open_lun(config(image));
  assert_non_null(lun.get());
  SteadyLoad load{*lun, 6, 512, seed()};
  assert_true(eventually([&] { return load.done() > 200; }));
  begin();
  const auto begun = Clock::now();
  assert_true(eventually([&] { return !is_up("osd.1"); }, 100));  // a look takes seconds
  const std::uint64_t before = load.done();
  assert_true(eventually([&] { return load.done() > before + 200; }));
  print_message("left out, and 200 commands later: %.1f s\n",
                std::chrono::duration<double>(Clock::now() - begun).count());
  mend();
  const std::uint64_t later = load.done();
  assert_true(eventually([&] { return load.done() > later + 200; }));
  load.stop();
  assert_string_equal(load.trouble().c_str(), "");
  print_message("longest time without an answer: %.1f s\n",
                std::chrono::duration<double>(load.gap()).count());
}

void expect_osd_1_back() {
  assert_true(eventually([] { return is_up("osd.1"); }, 100));
}

void an_osd_that_stands_still_is_left_out(void**) {
  survive(
      "rbd/stop", [] { ::kill(daemon("osd.1"), SIGSTOP); },
      [] {
        ::kill(daemon("osd.1"), SIGCONT);
        expect_osd_1_back();
      });
}

void an_osd_that_is_cut_off_is_left_out(void**) {
  survive(
      "rbd/cut", [] { set_link("down"); },
      [] {
        set_link("up");
        expect_osd_1_back();
      });
}

// It is the last, because its data is gone with it.
void an_osd_that_dies_is_left_out(void**) {
  survive(
      "rbd/kill", [] { ::kill(daemon("osd.1"), SIGKILL); }, [] {});
}

}  // namespace

int main() {
  require_cluster();
  if (namespace_of_osd_1().empty()) {
    std::printf("the OSDs have no network namespaces\n");
    return 77;
  }
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_osd_that_stands_still_is_left_out),
      cmocka_unit_test(an_osd_that_is_cut_off_is_left_out),
      cmocka_unit_test(an_osd_that_dies_is_left_out),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
