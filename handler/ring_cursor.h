// SPDX-License-Identifier: Apache-2.0
// RingCursor: where the daemon stands in a device's command ring.
//
// libtcmu keeps its read position to itself. This cursor follows it, one command at a time, to know
// two things that the daemon does not say: whether more commands wait behind the one in hand (then
// handle_cmd need not drive yet: they come in the same breath), and which commands the daemon threw
// away. It throws away, without an answer, each command whose CDB length it cannot tell (operation
// codes 60h-7Eh and C0h-FFh, tcmu_cdb_get_length); nobody would ever answer those.
//
// The cmdproc thread's alone, but for leftovers().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "handler/ring_entries.h"

namespace ballast::handler {

class RingCursor {
 public:
  // Commands the daemon passed over at one step. More at once are not reported (and then wait for
  // the kernel's cmd_time_out, as they would without us).
  static constexpr std::size_t most_dropped = 64;

  // `mapping` begins with the mailbox and outlives the cursor. Starts at cmd_tail, as libtcmu does
  // when it opens a device.
  explicit RingCursor(std::span<const std::byte> mapping);

  // handle_cmd was called with this command: steps over its entry. Returns the ids of the commands
  // thrown away before it; valid until the next call.
  std::span<const std::uint16_t> arrived(std::uint16_t cmd_id);

  // Whether the daemon will call handle_cmd again without sleeping first.
  bool more();

  // What lies between cmd_tail and cmd_head, if not one command that the daemon hands over is among
  // it: nothing but commands that it throws away, and notices. Says nothing otherwise. Reads only
  // the mapping: any thread, as long as nobody answers meanwhile.
  struct Leftovers {
    std::uint32_t tail = 0;
    std::uint32_t head = 0;  // equal to tail: nothing is left over
    std::size_t dropped_count = 0;
    std::array<std::uint16_t, most_dropped> dropped{};
    bool same_place(const Leftovers& other) const {
      return tail == other.tail && head == other.head;
    }
  };
  Leftovers leftovers() const;

  // False: this position was lost, more() says false, and each command is driven by itself. That is
  // slower, not wrong; arrived() finds the place again when it can.
  bool in_step() const { return in_step_; }

 private:
  bool step_over(std::uint32_t from, std::uint16_t cmd_id, bool note_dropped);

  RingEntries entries_;
  std::uint32_t position_;  // the first entry the daemon has not read
  bool in_step_ = true;
  // What more() found at position_: the command that comes next, and what is behind it.
  struct Next {
    bool known = false;
    std::uint16_t cmd_id = 0;
    std::uint32_t behind = 0;
  };
  Next next_;
  std::size_t dropped_count_ = 0;
  std::array<std::uint16_t, most_dropped> dropped_{};
};

}  // namespace ballast::handler
