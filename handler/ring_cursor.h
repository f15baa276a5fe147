// SPDX-License-Identifier: Apache-2.0
// RingCursor: where the daemon stands in a device's command ring.
//
// libtcmu keeps its read position to itself. This cursor follows it, one command at a time, to know
// two things that the daemon does not say: whether more commands wait behind the one in hand (then
// handle_cmd need not drive yet: they come in the same breath), and how far the daemon has read for
// certain, which each batch tells the executor (PassedOver).
//
// The cmdproc thread's alone, but for pass_by().
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
    std::uint32_t passed_over = 0;  // how many entries the daemon passed over so far (may wrap):
                                    // commands that it threw away, and notices
    bool known = false;             // false: the position is lost, see arrived()
  };

  // `mapping` begins with the mailbox and outlives the cursor. Starts at cmd_tail, as libtcmu does
  // when it opens a device.
  explicit RingCursor(std::span<const std::byte> mapping);

  // handle_cmd was called with this command: steps over its entry. Returns more(). Where the ring
  // does not say what it must (the kernel's bug, or a ring that was reset), the position is lost
  // until a later call finds its command from cmd_tail on: till then each command is driven by
  // itself, which is slower, not wrong.
  bool arrived(std::uint16_t cmd_id);

  // Whether the daemon will call handle_cmd again without sleeping first.
  bool more();

  Mark mark() const { return {position_, passed_over_, in_step_}; }

  // From another thread, before it lets the entries between `from` and `to`, which nobody hands
  // over, be overwritten: the cursor will not read them any more. False: it stands elsewhere.
  bool pass_by(std::uint32_t from, std::uint32_t to);

 private:
  class Held;
  bool step_over(std::uint16_t cmd_id);
  [[gnu::cold]] bool find(std::uint16_t cmd_id);
  bool look_for_more();
  [[gnu::cold]] bool is_behind_others(std::uint32_t head) const;

  RingEntries entries_;
  std::atomic<bool> taken_{false};  // guards what follows, for a few instructions at a time
  std::uint32_t position_;          // the first entry the daemon has not read
  std::uint32_t passed_over_ = 0;
  bool in_step_ = true;
  // What more() found at position_: the command that comes next, and what is behind it.
  struct Next {
    bool known = false;
    std::uint16_t cmd_id = 0;
    std::uint32_t behind = 0;
  };
  Next next_;
};

}  // namespace ballast::handler
