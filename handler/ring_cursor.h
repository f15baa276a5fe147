// SPDX-License-Identifier: Apache-2.0
// RingCursor: follows the daemon's read position in a device's command ring.
//
// libtcmu keeps its read position to itself. The cursor follows it, one command at a time, to find
// out two things. First, whether more commands wait behind the one that handle_cmd has: then
// handle_cmd need not drive yet, because the daemon calls it again at once. Second, how far the
// daemon has certainly read: each batch passes this on to the executor (PassedOver).
//
// Only the cmdproc thread uses it, except for pass_by().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "handler/ring_entries.h"

namespace ballast::handler {

class RingCursor {
 public:
  // How far the daemon has read.
  struct Mark {
    std::uint32_t position = 0;     // the first entry behind the last command handed over
    std::uint32_t passed_over = 0;  // how many entries the daemon passed over so far; may wrap
    bool known = false;             // false: the position is lost, see arrived()
  };

  // `mapping` begins with the mailbox and outlives the cursor. The cursor starts at cmd_tail, as
  // libtcmu does when it opens a device.
  explicit RingCursor(std::span<const std::byte> mapping);

  // Call it when handle_cmd was called with this command. It steps over the command's entry and
  // returns more(). If the ring does not contain what it must (a bug of the kernel, or a ring that
  // was reset), the position is lost until a later call finds its command from cmd_tail on. Until
  // then each command is driven by itself, which is slower but correct.
  bool arrived(std::uint16_t cmd_id);

  // Whether the daemon will call handle_cmd again without sleeping first. False if the position is
  // lost.
  bool more();

  Mark mark() const { return {position_, passed_over_, in_step_}; }

  // Call it from another thread, before that thread lets the entries between `from` and `to` be
  // overwritten, none of which is handed over. Afterwards the cursor does not read them any more.
  // Returns false if the cursor stands elsewhere than at `from`. A cursor whose position is lost
  // stands at `to` afterwards.
  bool pass_by(std::uint32_t from, std::uint32_t to);

 private:
  class Held;
  bool step_over(std::uint16_t cmd_id);
  [[gnu::cold]] bool find(std::uint16_t cmd_id);
  bool look_for_more();
  [[gnu::cold]] bool is_behind_others(std::uint32_t head) const;

  RingEntries entries_;
  std::atomic<bool> taken_{false};  // a lock over the members below, held for a few instructions
  std::uint32_t position_;          // the first entry that the daemon has not read
  std::uint32_t passed_over_ = 0;
  bool in_step_ = true;
  // What more() found at position_: the command that comes next, and the position behind it.
  struct Next {
    bool known = false;
    std::uint16_t cmd_id = 0;
    std::uint32_t behind = 0;
  };
  Next next_;
};

}  // namespace ballast::handler
