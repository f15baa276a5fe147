// SPDX-License-Identifier: Apache-2.0
// The slow-request log of one LUN. It writes one line when a command passes the `slow` threshold
// and one line when that command ends, and keeps the last ended ones for `ballastctl slow`. (The
// lines here are folded.)
//
//   vol0: slow: command 4711, WRITE(10) of 8 blocks (4 KiB) at lba 2048, is 1.00 s old
//     (queue 20 ms, backend 980 ms); the initiator's error handler begins in 59.0 s by default
//
//   vol0: slow: command 4711, WRITE(10) of 8 blocks (4 KiB) at lba 2048, was answered GOOD after
//     3.20 s (queue 20 ms, backend 3.18 s)
//
// "By default": with the settings that Linux has if they were not changed (initiator.h). A stage
// that took less than a thousandth of the command's time is left out.
//
// A third line may follow the first kind, if the store's client knows what it waits for:
//
//   vol0: slow: the storage's client waits for osd.3, object rbd_data.10af.ff, for 1.1 s; 31 more
//     requests wait
//
// Rate limit: at most `lines_per_window` lines in each `window`, all kinds together. Lines above
// the limit are left out and counted, and the next line says how many they were: "vol0: slow (12
// left out): ...".
//
// The daemon cuts a line of its log at 255 bytes, so a line has at most `longest_line` bytes, of
// printable ASCII. A line that would be longer loses the end of the LUN's name, then all stages but
// the longest, then that one. Lines go to the log (lib/base/log.h) as warnings. Driving thread
// only. Allocates only when it writes a line, or keeps what the store waited for; if memory runs
// out in that, the line counts as left out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/line_limit.h"
#include "lib/base/units.h"
#include "lib/watch/command_record.h"
#include "lib/watch/ending.h"

namespace ballast::watch {

// One slow command that has ended, or that was answered and became an orphan.
struct SlowRequest {
  CommandRecord record;
  TimePoint ended{};
  Ending ending;
  std::string waited_for;  // what the store's client waited for meanwhile; empty: not known
};

class SlowLog {
 public:
  static constexpr std::size_t lines_per_window = 20;
  static constexpr Nanoseconds window = std::chrono::seconds{10};
  static constexpr std::size_t kept = 64;  // ended ones, the newest
  static constexpr std::size_t longest_line = 199;

  // `lun` names the LUN in the lines; it may hold any bytes. `block`: the size of a logical block.
  SlowLog(std::string_view lun, Bytes block);

  // A command has become slow. The caller sets record.reported afterwards.
  void begin(const CommandRecord& record, TimePoint now) noexcept;
  // A slow command has ended. It is counted here if it ended before begin() could be called.
  void end(const CommandRecord& record, TimePoint now, const Ending& ending) noexcept;

  // From now on begin() calls `begun`, which may find out what the store's client waits for.
  void tell(std::function<void()> begun) { begun_hook_ = std::move(begun); }
  // What the store's client waits for: see Backend::waits_for(). Does nothing if `what` is empty.
  void store_waits_for(std::string_view what, TimePoint now) noexcept;

  std::uint64_t begun() const { return begun_; }              // all that were slow
  std::uint64_t left_out() const { return left_out_total_; }  // lines
  // Oldest first.
  std::vector<SlowRequest> recent() const;

 private:
  // Whether a line may be written now. Otherwise it is left out.
  bool may_speak(TimePoint now);
  // Calls say(), and counts the line as left out if memory runs out in that.
  template <class Say>
  void try_to(Say say) noexcept;
  // Writes the line with the first of `stages` that fits.
  void speak(std::string_view command, std::initializer_list<std::string_view> stages,
             std::string_view ending) const;
  void say_begun(const CommandRecord& record, TimePoint now) const;
  void say_ended(const CommandRecord& record, TimePoint now, const Ending& ending) const;

  const std::string lun_;
  const Bytes block_;
  std::function<void()> begun_hook_;
  std::string store_waits_for_;  // the last that is known
  TimePoint store_asked_{};      // when that was
  std::uint64_t begun_ = 0;
  LineLimit limit_{lines_per_window, window};
  std::uint64_t left_out_ = 0;  // before the line that is written now
  std::uint64_t left_out_total_ = 0;
  std::array<SlowRequest, kept> ring_{};
  std::uint64_t ended_ = 0;  // ever; the newest is at (ended_ - 1) % kept
};

}  // namespace ballast::watch
