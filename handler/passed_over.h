// SPDX-License-Identifier: Apache-2.0
// PassedOver: what the daemon passes over in a device's command ring, so that nobody calls us for
// it, and what has become of it.
//
// Two kinds. COMMANDS THROWN AWAY: libtcmu drops, without an answer, each command whose CDB length
// it cannot tell (operation codes 60h-7Eh and C0h-FFh, tcmu_cdb_get_length). NOTICES (TCMU_OP_TMR):
// ABORT TASK and LUN RESET wait in the kernel until the commands that they are about are answered;
// with the device's attribute tmr_notification set the kernel names these commands in an entry of
// the ring, behind theirs, and libtcmu knows no such entries.
//
// ONE OWNER. Only the thread that drives the executor decides about them, from the ring itself, and
// each once: it walks along with the commands that it begins, in the order of the ring. So a notice
// is acted on when all commands before it have begun, and never later than the next command begins;
// a command thrown away is answered in its turn. What stands behind the last command is seen by
// looking (next_notice, rest).
//
// Why what it reads is still there. An answer overwrites the oldest unanswered command's entry,
// whatever command it is for, and lets the kernel use it again; so cmd_tail has passed as many
// commands as were answered. Only commands that this position has passed are answered. Hence
// cmd_tail never passes it.
//
// Driving thread only. Allocates nothing.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "handler/ring_cursor.h"
#include "handler/ring_entries.h"

namespace ballast::handler {

class PassedOver {
 public:
  struct Item {
    bool is_notice = false;
    std::uint16_t cmd_id = 0;  // of a command thrown away
    std::size_t named = 0;     // by a notice: so many commands, see is_named()
  };
  // Behind the last command that began, up to cmd_head, and only what nobody hands over is there.
  struct Rest {
    std::uint32_t from = 0;
    std::uint32_t to = 0;  // equal to `from`: nothing is there
    friend bool operator==(const Rest&, const Rest&) = default;
  };

  // `mapping` begins with the mailbox and outlives this.
  explicit PassedOver(std::span<const std::byte> mapping);

  // A batch of commands is about to begin; `mark` is the cursor's behind the last of it. False:
  // nothing was passed over before its end, begin them all.
  bool any_before(const RingCursor::Mark& mark) const {
    return known_ && mark.known && mark.passed_over != passed_over_;
  }
  // Before each command of such a batch, until there is nothing: the next item in front of it.
  std::optional<Item> next_before(std::uint16_t cmd_id);
  // The batch has begun.
  void reached(const RingCursor::Mark& mark);

  // The next notice behind the last command that began and in front of the next one.
  std::optional<Item> next_notice();
  // After a notice came out: whether it names this command.
  bool is_named(std::uint16_t cmd_id) const { return named_.test(cmd_id); }

  // What stands at the ring's end. `all_answered`: no command that began is unanswered (then a lost
  // position is found again: it is cmd_tail).
  Rest rest(bool all_answered);
  // The next item of it, until there is nothing and it is done with.
  std::optional<Item> next_of(const Rest& rest);
  // Everything that stands in the ring was dealt with.
  bool is_at(std::uint32_t position) const { return known_ && at_ == position; }
  std::uint32_t position() const { return at_; }

 private:
  std::optional<RingEntries::Entry> entry_at(std::uint32_t position) const;
  std::optional<Item> pass(const RingEntries::Entry& entry);
  Item read_notice(std::uint32_t position, const RingEntries::Entry& entry);

  std::span<const std::byte> mapping_;
  RingEntries entries_;
  std::uint32_t at_;               // all before it was dealt with
  std::uint32_t seen_;             // at_, or further on: the notices before it were, too
  std::uint32_t passed_over_ = 0;  // the mark's, at at_
  bool known_ = true;              // false: at_ is lost until the cursor finds its place again
  std::bitset<std::size_t{1} << 16> named_;  // by the last notice
};

}  // namespace ballast::handler
