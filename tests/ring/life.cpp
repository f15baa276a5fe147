// SPDX-License-Identifier: Apache-2.0
#include "tests/ring/life.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/ring/cdb.h"
#include "tests/ring/support.h"

namespace ballast::ring_test {
namespace {

constexpr std::byte zero{0};

std::vector<std::byte> filled(std::size_t bytes, std::byte value) {
  return std::vector<std::byte>(bytes, value);
}

}  // namespace

// One of those that are sent at once.
struct Life::Change {
  Life* life;
  std::size_t first;
  std::vector<std::byte> data;
  Countdown* answers;

  static void done(void* self, const Answer& answer) {
    const auto& change = *static_cast<Change*>(self);
    change.life->ended(change.first, change.data.size() / block_size, change.data.front(), answer);
    const Done one = change.answers->done();
    one.run(one.context, answer);
  }
};

Life::Life() = default;
Life::~Life() = default;

void Life::ended(std::size_t first, std::size_t count, std::byte value, const Answer& answer) {
  for (Block& block : std::span{blocks_}.subspan(first, count)) {
    if (answer.status == 0) {
      block.was = value;
      block.may_be.clear();
    } else {
      block.may_be.push_back(value);
    }
  }
}

void Life::change(Lun& lun, std::span<const std::uint8_t> cdb, std::size_t data_blocks,
                  std::size_t first, std::size_t count, std::byte value) {
  std::vector<std::byte> data = filled(data_blocks * block_size, value);
  ended(first, count, value, lun.execute(cdb, Direction::to_device, data));
}

const char* Life::run_at_once(Lun& lun) {
  constexpr std::size_t count = 32;
  constexpr std::size_t length = 8;
  Countdown answers{3 * count};
  std::vector<Change> changes;
  std::vector<std::byte> into(length * block_size);
  for (std::size_t i = 0; i < count; ++i) {
    changes.push_back({this, i * length, filled(length * block_size, std::byte(1 + i)), &answers});
  }
  for (Change& each : changes) {
    (void)lun.queue(write_16(each.first, length), Direction::to_device, each.data,
                    {&Change::done, &each});
    (void)lun.queue(read_16(each.first, length), Direction::from_device, into, answers.done());
    (void)lun.queue(test_unit_ready(), Direction::none, {}, answers.done());
  }
  lun.raise();
  return answers.wait() ? nullptr : "commands were not answered";
}

void Life::copy(Lun& lun, std::size_t from, std::size_t to, std::size_t count) {
  std::vector<std::byte> page(512);
  if (lun.execute(inquiry_page(0x83, 512), Direction::from_device, page).status != 0) {
    return;
  }
  std::vector<std::byte> list = copy_list(page, from, to, count);
  const Answer answer = lun.execute(cdb_16(0x83, 0, static_cast<std::uint32_t>(list.size())),
                                    Direction::to_device, list);
  const Block source = blocks_[from];
  if (source.was.has_value() && source.may_be.empty()) {
    ended(to, count, *source.was, answer);
  } else {
    std::fill_n(blocks_.begin() + static_cast<std::ptrdiff_t>(to), count, Block{});
  }
}

const char* Life::run(Lun& lun) {
  if (const char* const wrong = run_at_once(lun)) {
    return wrong;
  }
  std::vector<std::byte> page(512);
  const auto ask = [&](std::initializer_list<unsigned> cdb) {
    (void)lun.execute(Cdb{cdb}, Direction::from_device, page);
  };
  change(lun, write_16(301, 127), 127, 301, 127, std::byte{40});
  change(lun, write_16(430, 16, true), 16, 430, 16, std::byte{41});  // FUA
  change(lun, cdb_16(0x8e, 446, 4), 4, 446, 4, std::byte{42});       // WRITE AND VERIFY
  (void)lun.execute(cdb_10(0x35, 0, 0));
  change(lun, cdb_16(0x93, 512, 64, 0x08), 1, 512, 64, zero);     // WRITE SAME, UNMAP
  change(lun, cdb_16(0x93, 576, 64), 1, 576, 64, std::byte{43});  // a pattern to repeat
  std::vector<std::byte> same = filled(64 * block_size, std::byte{43});
  (void)lun.execute(cdb_16(0x8f, 576, 64, 0x02), Direction::to_device, same);  // VERIFY
  std::vector<std::byte> pair = filled(block_size, std::byte{43});
  pair.resize(2 * block_size, std::byte{44});
  ended(576, 1, std::byte{44}, lun.execute(cdb_16(0x89, 576, 1), Direction::to_device, pair));
  std::vector<std::byte> unmap(24);
  unmap[1] = std::byte{22};
  unmap[3] = std::byte{16};
  unmap[14] = std::byte{2};  // LBA 512 + 72
  unmap[15] = std::byte{72};
  unmap[19] = std::byte{8};
  const Answer unmapped =
      lun.execute(Cdb{0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0}, Direction::to_device, unmap);
  ended(584, 8, zero, unmapped);
  copy(lun, 592, 640, 32);
  (void)lun.execute(cdb_16(0x90, 0, 64));                       // PRE-FETCH
  ask({0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0});  // GET LBA STATUS
  ask({0x12, 1, 0xb0, 0, 255, 0});
  ask({0x4d, 0, 0x4c, 0, 0, 0, 0, 2, 0, 0});  // LOG SENSE
  std::vector<std::byte> mode = caching_page(lun);
  if (!mode.empty()) {
    (void)mode_select(lun, mode);
  }
  (void)lun.execute(cdb_10(0x3f, 0, 1));        // no such command
  (void)lun.execute(cdb_16(0x91, 0, 0));        // SYNCHRONIZE CACHE
  (void)lun.execute(Cdb{0x1b, 0, 0, 0, 0, 0});  // stop
  (void)lun.execute(start_unit());
  change(lun, write_16(700, 8), 8, 700, 8, std::byte{45});
  return nullptr;
}

std::string Life::compare(Lun& lun) const {
  std::vector<std::byte> data(block_count * block_size);
  const Answer answer = lun.execute(read_16(0, block_count), Direction::from_device, data);
  if (answer.status != 0) {
    return fmt::format("the blocks cannot be read: status {:#x}, sense {:#x}/{:#06x}",
                       answer.status, answer.sense_key(), answer.additional_sense());
  }
  for (std::size_t i = 0; i < block_count; ++i) {
    const Block& block = blocks_[i];
    const std::span<const std::byte> has = std::span{data}.subspan(i * block_size, block_size);
    const std::byte first = has.front();
    const bool is_whole = std::ranges::all_of(has, [first](std::byte b) { return b == first; });
    const bool may_be =
        first == block.was || std::ranges::find(block.may_be, first) != block.may_be.end();
    if (block.was.has_value() && (!is_whole || !may_be)) {
      return fmt::format("block {} has {:#x}, and should have {:#x}", i,
                         static_cast<unsigned>(first), static_cast<unsigned>(*block.was));
    }
  }
  return "";
}

}  // namespace ballast::ring_test
