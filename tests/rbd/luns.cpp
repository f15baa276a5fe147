// SPDX-License-Identifier: Apache-2.0
#include "tests/rbd/luns.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/rbd/process.h"

#include "tests/cmocka.h"

namespace ballast::rbd_test {

using ring_test::Answer;
using ring_test::Lun;
using ring_test::take_log;

void make_image(const std::string& name, std::size_t mibs) {
  assert_true(shell("rbd create " + name + " --size " + std::to_string(mibs) + "M"));
}

ring_test::LunOptions sized(std::size_t mibs) {
  ring_test::LunOptions options;
  options.size = mibs * mib;
  return options;
}

Answer write(Lun& lun, std::uint64_t lba, std::vector<std::byte>& data) {
  return lun.execute(ring_test::write_16(lba, static_cast<std::uint32_t>(data.size() / 512)),
                     ring_test::Direction::to_device, data);
}

std::vector<std::byte> read(Lun& lun, std::uint64_t lba, std::size_t bytes) {
  std::vector<std::byte> data(bytes);
  Answer answer;
  // As an initiator does: on a busy machine the deadline of `quick` may pass.
  assert_true(ring_test::eventually([&] {
    answer = lun.execute(ring_test::read_16(lba, static_cast<std::uint32_t>(bytes / 512)),
                         ring_test::Direction::from_device, data);
    return answer.status != busy;
  }));
  assert_int_equal(answer.status, good);
  return data;
}

void assert_no_room(const Answer& answer) {
  assert_int_equal(answer.status, check_condition);
  assert_int_equal(answer.sense_key(), 0x7);
  assert_int_equal(answer.additional_sense(), 0x2707);
}

std::unique_ptr<Lun> open_lun(const std::string& string, const ring_test::LunOptions& options) {
  auto lun = Lun::add(string, options);
  if (lun == nullptr || !ring_test::eventually([&] {
        return lun->execute(ring_test::test_unit_ready()).status == good;
      })) {
    print_error("%s: %s\n", string.c_str(), take_log().c_str());
    return nullptr;
  }
  return lun;
}

void expect_refused(const std::string& string, std::initializer_list<const char*> words,
                    std::size_t mibs) {
  (void)take_log();
  const auto lun = Lun::add(string, sized(mibs));
  std::string log;
  const bool refused = ring_test::log_says(log, {"cannot be opened"});
  for (const char* word : words) {
    if (!refused || log.find(word) == std::string::npos) {
      print_error("%s: \"%s\" does not say \"%s\"\n", string.c_str(), log.c_str(), word);
      assert_true(false);
    }
  }
}

void put_label(const std::string& image) {
  // tests/unit/backend/label_test.cpp has the same.
  constexpr const char* digits =
      "424c474c4142454c5c5c3574010000005c00000006000e0000000000000000000100000000000000"
      "00000000000000000000000000000000a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5676174652d312f66"
      "6173742f766f6c302e6c6f67";
  assert_true(shell("rbd image-meta set " + image + " ballast.log " + digits));
}

void remove_label(const std::string& image) {
  assert_true(shell("rbd image-meta remove " + image + " ballast.log"));
}

void own_until_killed(const std::string& string) {
  const auto lun = Lun::add(string);
  std::puts(lun != nullptr ? "open" : take_log().c_str());
  std::fflush(stdout);
  for (;;) {
    std::this_thread::sleep_for(std::chrono::hours{1});
  }
}

void expect_no_late_write(
    unsigned long usual,
    const std::function<std::size_t(std::byte writer, std::mt19937_64& random)>& take_over) {
  const char* const wanted = std::getenv("TAKEOVERS");
  const unsigned long takeovers = wanted != nullptr ? std::strtoul(wanted, nullptr, 10) : usual;
  std::mt19937_64 random{ring_test::seed()};
  make_image("rbd/takeover", 4);
  std::size_t late = 0;
  for (unsigned long i = 0; i < takeovers; ++i) {
    late += take_over(static_cast<std::byte>(1 + i % 100), random);
    (void)take_log();
    if ((i + 1) % 100 == 0 || i + 1 == takeovers) {
      print_message("%lu takeovers, %zu late writes\n", i + 1, late);
      (void)std::fflush(stdout);  // a run that is cut off has said how far it came
    }
  }
  assert_int_equal(late, 0);
}

}  // namespace ballast::rbd_test
