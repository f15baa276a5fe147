// SPDX-License-Identifier: Apache-2.0
// What a server says of its holes, in units of the LUN's blocks.
#include <cstdint>
#include <string>
#include <vector>

#include "lib/backend/nbd_extents.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;

namespace {

constexpr std::uint32_t data = 0;
constexpr std::uint32_t hole = 3;       // a hole that reads as zeros
constexpr std::uint32_t only_zero = 2;  // allocated zeros

// "d2 h3 4096": two blocks of data, three of hole, and where the answer ends.
std::string extents(const std::vector<std::uint32_t>& pairs, std::uint64_t offset,
                    std::uint64_t end, std::uint64_t block = 512) {
  std::vector<Extent> out;
  const Bytes said = append_extents(pairs, Bytes{offset}, Bytes{end}, Bytes{block}, &out);
  std::string text;
  std::uint64_t at = offset;
  for (const Extent& extent : out) {
    assert_int_equal(extent.offset.value(), at);
    assert_int_equal(extent.length.value() % block, 0);
    at += extent.length.value();
    text += (extent.allocated ? "d" : "h") + std::to_string(extent.length.value() / block) + " ";
  }
  assert_int_equal(said.value(), at);
  return text + std::to_string(at);
}

void whole_blocks_are_taken_as_they_are(void**) {
  assert_string_equal(extents({1024, data, 512, hole, 512, data}, 0, 2048).c_str(),
                      "d2 h1 d1 2048");
  assert_string_equal(extents({1024, hole}, 4096, 5120).c_str(), "h2 5120");
}

void neighbours_of_one_kind_become_one(void**) {
  assert_string_equal(extents({512, data, 512, only_zero, 512, 1}, 0, 1536).c_str(), "d3 1536");
}

void a_block_with_any_data_is_allocated(void**) {
  assert_string_equal(extents({100, hole, 1, data, 923, hole}, 0, 1024).c_str(), "d1 h1 1024");
  assert_string_equal(extents({600, hole, 1, data, 423, hole}, 0, 1024).c_str(), "h1 d1 1024");
  assert_string_equal(extents({512, data, 7680, hole}, 0, 8192, 4096).c_str(), "d1 h1 8192");
}

void an_answer_may_be_too_long_or_too_short(void**) {
  assert_string_equal(extents({4096, hole}, 0, 1024).c_str(), "h2 1024");
  assert_string_equal(extents({0xffffffff, data, 512, hole}, 0, 1024).c_str(), "d2 1024");
  assert_string_equal(extents({512, hole}, 0, 1024).c_str(), "h1 512");
  assert_string_equal(extents({700, hole}, 0, 2048).c_str(), "h1 512");
}

void an_answer_that_says_nothing_ends_where_it_began(void**) {
  assert_string_equal(extents({}, 512, 1024).c_str(), "512");
  assert_string_equal(extents({0, data, 0, hole}, 512, 1024).c_str(), "512");
  assert_string_equal(extents({100, hole}, 512, 1024).c_str(), "512");
  assert_string_equal(extents({100}, 512, 1024).c_str(), "512");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(whole_blocks_are_taken_as_they_are),
      cmocka_unit_test(neighbours_of_one_kind_become_one),
      cmocka_unit_test(a_block_with_any_data_is_allocated),
      cmocka_unit_test(an_answer_may_be_too_long_or_too_short),
      cmocka_unit_test(an_answer_that_says_nothing_ends_where_it_began),
  };
  return cmocka_run_group_tests_name("nbd extents", tests, nullptr, nullptr);
}
