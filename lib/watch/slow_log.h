// SPDX-License-Identifier: Apache-2.0
// The slow-request log of one LUN: a line when a command passes the `slow` threshold, a line when it
// ends, and the last of them kept for `ballastctl slow`.
//
//   vol0: slow: command 4711 WRITE(10) lba 2048 blocks 8 (4 KiB) is 1.0 s old: backend 0.98 s, queue
//   0.02 s; an initiator with default settings gives up in 59.0 s
//   vol0: slow: command 4711 WRITE(10) lba 2048 blocks 8 (4 KiB) answered GOOD after 3.2 s: ...
//
// Rate-limited: at most `lines_per_window` lines in each `window`, both kinds together; what is left
// out is counted, and the next line that is let through says how many were left out. Lines go to
// the log (lib/base/log.h). Driving thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/units.h"
#include "lib/watch/command_record.h"

namespace ballast::watch {

// One slow command that has ended (or been answered, for one that became an orphan).
struct SlowRequest {
  CommandRecord record;
  TimePoint ended{};
  const char* how = "";  // a literal: "GOOD", "CHECK CONDITION", "BUSY", "BUSY, goes on as an orphan",
                         // "orphan ended"
};

class SlowLog {
 public:
  static constexpr std::size_t lines_per_window = 20;
  static constexpr Nanoseconds window = std::chrono::seconds{10};
  static constexpr std::size_t kept = 64;  // ended ones, the newest

  // `lun` for the lines. `block` bytes are one logical block.
  SlowLog(std::string lun, Bytes block);

  void begin(const CommandRecord& record, TimePoint now);
  void end(const CommandRecord& record, TimePoint now, const char* how);

  std::uint64_t begun() const { return begun_; }          // all that were slow
  std::uint64_t left_out() const { return left_out_total_; }  // lines
  // Oldest first.
  std::vector<SlowRequest> recent() const;

 private:
  bool may_speak(TimePoint now);
  std::string description(const CommandRecord& record) const;
  std::string stages(const CommandRecord& record, TimePoint now) const;
  std::string left_out_note();

  const std::string lun_;
  const Bytes block_;
  std::uint64_t begun_ = 0;
  std::uint64_t left_out_ = 0;  // since the last line
  std::uint64_t left_out_total_ = 0;
  TimePoint window_began_{};
  std::size_t lines_in_window_ = 0;
  std::array<SlowRequest, kept> ring_{};
  std::size_t ended_ = 0;  // ever; the newest is at (ended_ - 1) % kept
};

}  // namespace ballast::watch
