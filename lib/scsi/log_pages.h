// SPDX-License-Identifier: Apache-2.0
// The log pages of a LUN, which LOG SENSE shows (SPC-5, 7.3): supported pages (00), errors of
// writes (02) and reads (03), logical block provisioning (0C, if the store tells how much room it
// has), self-test results (10), general statistics and performance (19), and informational
// exceptions (2F). Nothing is saved and nothing can be set: what counts, counts since the LUN was
// opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/backend/backend.h"
#include "lib/base/units.h"

namespace ballast::scsi {

// What the LUN did. Commands and blocks are those of READ and WRITE that were answered GOOD.
struct Statistics {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  Bytes read{};
  Bytes written{};
  Nanoseconds read_time{};  // from arrival to answer, of all reads together
  Nanoseconds write_time{};
  Nanoseconds idle_time{};        // with no command unanswered, but for those answered at once
  std::uint64_t read_errors = 0;  // commands that failed because of the store
  std::uint64_t write_errors = 0;
  bool stalled = false;  // now
  bool tells_room = false;
  std::optional<backend::Room> room{};  // of the store, lately; nothing: not known yet
};

// Whoever counts.
class StatisticsSource {
 public:
  virtual ~StatisticsSource() = default;
  virtual Statistics statistics() const = 0;
};

inline constexpr std::size_t longest_log_page = 512;

// Whether LOG SENSE may ask for this page.
bool has_log_page(std::uint8_t page, std::uint8_t subpage, bool tells_room);

// Writes the page, with its parameters from the code `first` on, to the front of `out`, which has
// longest_log_page bytes, all 0. Returns the length, or nothing if no parameter has such a code or
// a higher one. Only for pages that there are.
std::optional<std::size_t> put_log_page(std::uint8_t page, std::uint8_t subpage,
                                        std::uint16_t first, const Statistics& statistics,
                                        Bytes logical_block, std::span<std::uint8_t> out);

}  // namespace ballast::scsi
