// SPDX-License-Identifier: Apache-2.0
// The slow-request log of one LUN: a line when a command passes the `slow` threshold, a line when
// it ends, and the last of them kept for `ballastctl slow`. (Lines here are folded.)
//
//   vol0: slow: command 4711, WRITE(10) of 8 blocks (4 KiB) at lba 2048, is 1.00 s old
//     (queue 20 ms, backend 980 ms); the initiator's error handler begins in 59.0 s by default
//
//   vol0: slow: command 4711, WRITE(10) of 8 blocks (4 KiB) at lba 2048, was answered GOOD after
//     3.20 s (queue 20 ms, backend 3.18 s)
//
// "By default": with the settings that Linux has where nobody changed them (initiator.h). A stage
// in which a command spent less than a thousandth of its time is left out.
//
// Rate-limited: at most `lines_per_window` lines in each `window`, both kinds together; what is
// left out is counted, and the next line that is let through says how many lines that were:
// "vol0: slow (12 left out): ...".
//
// The daemon cuts a line of its log at 255 bytes, so a line has at most `longest_line` bytes, of
// printable ASCII. What is too long loses the end of the LUN's name, then all stages but the
// longest, then that. Lines go to the log (lib/base/log.h) as warnings. Driving thread only.
// Allocates when it speaks, and only then.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/units.h"
#include "lib/watch/command_record.h"
#include "lib/watch/ending.h"

namespace ballast::watch {

// One slow command that has ended (or been answered, for one that became an orphan).
struct SlowRequest {
  CommandRecord record;
  TimePoint ended{};
  Ending ending;
};

class SlowLog {
 public:
  static constexpr std::size_t lines_per_window = 20;
  static constexpr Nanoseconds window = std::chrono::seconds{10};
  static constexpr std::size_t kept = 64;  // ended ones, the newest
  static constexpr std::size_t longest_line = 199;

  // `lun` for the lines; it may hold any bytes. `block` bytes are one logical block.
  SlowLog(std::string_view lun, Bytes block);

  // A command has become slow. The caller keeps in record.reported that it has told.
  void begin(const CommandRecord& record, TimePoint now);
  // A slow command has ended. One that was slow and ended before begin() could be called is counted
  // here.
  void end(const CommandRecord& record, TimePoint now, const Ending& ending);

  std::uint64_t begun() const { return begun_; }              // all that were slow
  std::uint64_t left_out() const { return left_out_total_; }  // lines
  // Oldest first.
  std::vector<SlowRequest> recent() const;

 private:
  bool may_speak(TimePoint now);
  // The first of `stages` that there is room for.
  void speak(std::string_view command, std::initializer_list<std::string_view> stages,
             std::string_view ending);

  const std::string lun_;
  const Bytes block_;
  std::uint64_t begun_ = 0;
  std::uint64_t left_out_ = 0;  // since the last line
  std::uint64_t left_out_total_ = 0;
  TimePoint window_began_{};
  std::size_t lines_in_window_ = 0;
  std::array<SlowRequest, kept> ring_{};
  std::uint64_t ended_ = 0;  // ever; the newest is at (ended_ - 1) % kept
};

}  // namespace ballast::watch
