// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/index.h"

#include <algorithm>
#include <vector>

#include "lib/co/sim_executor.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using write_log::Index;

namespace {

constexpr std::uint32_t block = 512;

std::vector<Index::Piece> pieces(const Index& index, std::uint64_t lba, std::uint64_t blocks) {
  std::vector<Index::Piece> all;
  const Lba end{lba + blocks};
  for (Lba at{lba}; at < end; at = all.back().lba + all.back().blocks) {
    all.push_back(index.first_piece(at, end - at));
  }
  return all;
}

Index::Piece piece(std::uint64_t lba, std::uint64_t blocks, Index::In in,
                   const Index::Source& source = {}) {
  return {.lba = Lba{lba}, .blocks = BlockCount{blocks}, .in = in, .source = source};
}

void what_was_never_written_is_in_the_store(void**) {
  const Index index{block};
  assert_true(pieces(index, 0, 100) == std::vector{piece(0, 100, Index::In::store)});
  assert_false(index.covers(Lba{5}, BlockCount{1}));
}

void a_range_is_divided_by_where_its_blocks_are(void**) {
  Index index{block};
  index.insert(Lba{10}, BlockCount{10}, {1, 40960});
  index.insert(Lba{30}, BlockCount{5}, {2, 0});
  const std::vector expected{
      piece(5, 5, Index::In::store), piece(10, 10, Index::In::log, {1, 40960}),
      piece(20, 10, Index::In::store), piece(30, 3, Index::In::zeros, {2, 0})};
  assert_true(pieces(index, 5, 28) == expected);
  assert_true(index.covers(Lba{10}, BlockCount{10}));
  assert_false(index.covers(Lba{9}, BlockCount{2}));
  assert_false(index.covers(Lba{19}, BlockCount{2}));
}

void the_newest_hides_the_older(void**) {
  Index index{block};
  index.insert(Lba{0}, BlockCount{100}, {1, 1 << 20});
  index.insert(Lba{40}, BlockCount{20}, {2, 2 << 20});
  const std::vector expected{piece(0, 40, Index::In::log, {1, 1 << 20}),
                             piece(40, 20, Index::In::log, {2, 2 << 20}),
                             piece(60, 40, Index::In::log, {1, (1 << 20) + 60 * block})};
  assert_true(pieces(index, 0, 100) == expected);
  index.insert(Lba{30}, BlockCount{80}, {3, 0});
  assert_int_equal(index.runs(), 2);
}

void trimming_drops_what_the_store_has_by_now(void**) {
  Index index{block};
  index.insert(Lba{0}, BlockCount{10}, {1, 1 << 20});
  index.insert(Lba{5}, BlockCount{10}, {2, 2 << 20});
  index.trim(Lba{0}, BlockCount{10}, 1);
  const std::vector expected{piece(0, 5, Index::In::store),
                             piece(5, 10, Index::In::log, {2, 2 << 20})};
  assert_true(pieces(index, 0, 15) == expected);
  index.trim(Lba{14}, BlockCount{1}, 2);
  assert_int_equal(index.runs(), 0);
}

void trimming_a_range_leaves_the_others(void**) {
  Index index{block};
  index.insert(Lba{0}, BlockCount{10}, {1, 1 << 20});
  index.insert(Lba{20}, BlockCount{10}, {1, 2 << 20});
  index.insert(Lba{5}, BlockCount{1}, {2, 0});
  index.trim(Lba{0}, BlockCount{10}, 1);
  assert_true(pieces(index, 0, 20) ==
              (std::vector{piece(0, 5, Index::In::store), piece(5, 1, Index::In::zeros, {2, 0}),
                           piece(6, 14, Index::In::store)}));
  assert_true(index.covers(Lba{20}, BlockCount{10}));
}

void a_record_older_than_the_last_asserts(void**) {
  assert_true(test::aborts([] {
    Index index{block};
    index.insert(Lba{0}, BlockCount{1}, {2, 1 << 20});
    index.insert(Lba{0}, BlockCount{1}, {1, 2 << 20});
  }));
}

// A plain model: for each block, its source.
void it_says_what_a_plain_list_of_blocks_says(void**) {
  const std::uint64_t seed = co::seed_from_environment("index");
  for (std::uint64_t round = 0; round < 100; ++round) {
    co::Random random{seed + round};
    constexpr std::uint64_t blocks = 200;
    std::vector<Index::Source> model(blocks);
    Index index{block};
    std::uint64_t records = 0;
    for (std::uint64_t sequence = 1; sequence < 150; ++sequence) {
      for (std::uint64_t left = random.below(3); left > 0; --left) {
        const std::uint64_t lba = random.below(blocks);
        const std::uint64_t count = 1 + random.below(std::min<std::uint64_t>(blocks - lba, 40));
        const bool zeros = random.chance(1, 4);
        const std::uint64_t payload = zeros ? 0 : (sequence << 20) + (left << 16);
        index.insert(Lba{lba}, BlockCount{count}, {sequence, payload});
        ++records;
        for (std::uint64_t i = 0; i < count; ++i) {
          model[lba + i] = {sequence, zeros ? 0 : payload + i * block};
        }
      }
      if (random.chance(1, 10)) {
        const std::uint64_t upto = random.below(sequence + 1);
        index.trim(Lba{0}, BlockCount{blocks}, upto);
        std::ranges::replace_if(
            model, [upto](const Index::Source& source) { return source.sequence <= upto; },
            Index::Source{});
      }
      const std::uint64_t from = random.below(blocks);
      bool all_there = true;
      for (const Index::Piece& found : pieces(index, from, blocks - from)) {
        for (std::uint64_t i = 0; i < found.blocks.value(); ++i) {
          const Index::Source expected = model[found.lba.value() + i];
          const bool zeros = found.in == Index::In::zeros;
          const Index::Source said{found.source.sequence, found.in == Index::In::log
                                                              ? found.source.payload + i * block
                                                              : 0};
          assert_true(said == expected);
          assert_true(zeros == (expected.sequence > 0 && expected.payload == 0));
          all_there &= expected.sequence > 0;
        }
      }
      assert_true(index.covers(Lba{from}, BlockCount{blocks - from}) == all_there);
      assert_true(index.runs() <= 2 * records);
      assert_true(index.end() <= Lba{blocks});
      if (index.runs() > 0) {
        assert_true(index.covers(Lba{index.end().value() - 1}, BlockCount{1}));
        const BlockCount behind = BlockCount{blocks + 1} - BlockCount{index.end().value()};
        assert_true(index.first_piece(index.end(), behind).blocks == behind);
      }
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_was_never_written_is_in_the_store),
      cmocka_unit_test(a_range_is_divided_by_where_its_blocks_are),
      cmocka_unit_test(the_newest_hides_the_older),
      cmocka_unit_test(trimming_drops_what_the_store_has_by_now),
      cmocka_unit_test(trimming_a_range_leaves_the_others),
      cmocka_unit_test(a_record_older_than_the_last_asserts),
      cmocka_unit_test(it_says_what_a_plain_list_of_blocks_says),
  };
  return cmocka_run_group_tests_name("index", tests, nullptr, nullptr);
}
