// SPDX-License-Identifier: Apache-2.0
// The built plugin over an image whose pool is at its quota. The cluster needs a manager.
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "tests/rbd/luns.h"
#include "tests/rbd/process.h"
#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::rbd_test;
using namespace ballast::ring_test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t mibs = 256;

void set_quota(const char* bytes) {
  assert_true(shell("ceph osd pool set-quota rbd max_bytes " + std::string{bytes}));
}

// An image's object has 4 MiB: each of these writes needs a new one.
std::uint64_t object(std::size_t number) {
  return number * 4 * mib / 512;
}

void a_pool_at_its_quota_is_an_error_and_no_freeze_until_it_is_raised(void**) {
  make_image("rbd/quota", mibs);
  const auto lun = open_lun(config("rbd/quota"), sized(mibs));
  assert_non_null(lun.get());
  std::vector<std::byte> data = bytes_of(mib, 6);
  assert_int_equal(write(*lun, 0, data).status, good);
  set_quota("1");
  Answer last = write(*lun, object(1), data);
  std::size_t next = 2;
  for (; last.status == good && next < mibs / 4; ++next) {
    std::this_thread::sleep_for(1s);
    last = write(*lun, object(next), data);
  }
  assert_no_room(last);

  data = bytes_of(mib, 7);
  assert_int_equal(write(*lun, 0, data).status, good);
  assert_true(read(*lun, 0, mib) == data);

  set_quota("0");
  for (std::size_t tries = 0; last.status != good && tries < 60; ++tries) {
    std::this_thread::sleep_for(1s);
    last = write(*lun, object(mibs / 4 - 1), data);
  }
  assert_int_equal(last.status, good);
}

}  // namespace

int main() {
  require_cluster();
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_pool_at_its_quota_is_an_error_and_no_freeze_until_it_is_raised),
  };
  return cmocka_run_group_tests_name("quota", tests, nullptr, nullptr);
}
