// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/contents.h"

#include <memory>
#include <random>

#include "tests/unit/co/support.h"
#include "tests/unit/counting_new.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;

namespace {

constexpr std::uint32_t block = 512;

// A log of which each block has so many records.
struct Log {
  Contents contents{block, Position{.sequence = 1, .offset = ring_begin}};
  std::unique_ptr<Header> header = std::make_unique<Header>();
  std::mt19937_64 random{7};

  void add(std::uint32_t records) {
    header->self = contents.end();
    header->record_count = records;
    for (std::uint32_t i = 0; i < records; ++i) {
      header->records[i] = {
          .lba = Lba{random() % 200}, .blocks = BlockCount{1 + random() % 40}, .kind = Kind::zero};
    }
    Position next = header->self;
    ++next.sequence;
    contents.add(*header, next);
    contents.wrote(header->self.sequence, TimePoint{std::chrono::seconds{next.sequence}});
  }
};

void what_is_reserved_needs_no_more_memory(void**) {
  Log log;
  for (std::uint64_t round = 0; round < 50; ++round) {
    constexpr std::size_t blocks = 30;
    constexpr std::uint32_t records = 5;
    log.contents.reserve(blocks * records, blocks);
    const std::uint64_t before = test::allocations;
    for (std::size_t i = 0; i < blocks; ++i) {
      log.add(records);
    }
    assert_int_equal(test::allocations - before, 0);
    log.contents.drop_before(log.contents.end().sequence - round);
  }
}

void the_blocks_are_those_that_were_added(void**) {
  Log log;
  log.contents.reserve(10, 10);
  assert_int_equal(log.contents.tail().sequence, 1);
  assert_int_equal(log.contents.end().sequence, 1);
  for (int i = 0; i < 4; ++i) {
    log.add(1);
  }
  assert_int_equal(log.contents.tail().sequence, 1);
  assert_int_equal(log.contents.position_of(3).sequence, 3);
  assert_int_equal(log.contents.position_behind(4).sequence, 5);
  log.contents.drop_before(4);
  assert_int_equal(log.contents.tail().sequence, 4);
  log.contents.drop_before(5);
  assert_true(log.contents.tail() == log.contents.end());
}

}  // namespace

int main() {
  if (!test::counts_allocations) {
    return test::cannot_count();
  }
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_is_reserved_needs_no_more_memory),
      cmocka_unit_test(the_blocks_are_those_that_were_added),
  };
  return cmocka_run_group_tests_name("contents", tests, nullptr, nullptr);
}
