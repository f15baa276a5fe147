// SPDX-License-Identifier: Apache-2.0
// PassedOver: finds the entries that the daemon passes over in a device's command ring. The daemon
// does not call us for these entries, so Ballast must deal with them itself.
//
// There are two kinds. COMMANDS THROWN AWAY: libtcmu drops a command without an answer if it cannot
// tell the length of its CDB (operation codes 60h-7Eh and C0h-FFh, tcmu_cdb_get_length). NOTICES
// (TCMU_OP_TMR): the kernel lets an ABORT TASK or a LUN RESET wait until the commands that it
// aborts are answered. If the device's attribute tmr_notification is set, the kernel names these
// commands in a notice, an entry of the ring behind theirs. libtcmu does not know such entries.
//
// ONE OWNER. Only the thread that drives the executor deals with these entries. It reads them from
// the ring itself, and deals with each once. It goes through the ring in the same order as the
// commands that it begins. So it acts on a notice after all commands before the notice have begun,
// and before the next command begins; and it answers a command that was thrown away in its turn.
// Behind the last command that began it must look by itself (next_notice, rest).
//
// Why the entries that it reads have not been overwritten: an answer, to whatever command,
// overwrites the entry of the oldest unanswered command and lets the kernel reuse that entry. So
// cmd_tail has passed as many commands as were answered. Only commands that this object's position
// has passed are answered. Hence cmd_tail never passes this position.
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
    std::uint16_t cmd_id = 0;  // of a command that was thrown away
    std::size_t named = 0;     // how many commands a notice names, see is_named()
  };
  // The stretch behind the last command that began, up to cmd_head, if it contains no command that
  // the daemon hands over.
  struct Rest {
    std::uint32_t from = 0;
    std::uint32_t to = 0;  // equal to `from`: the stretch is empty
    friend bool operator==(const Rest&, const Rest&) = default;
  };

  // `mapping` begins with the mailbox and outlives this object.
  explicit PassedOver(std::span<const std::byte> mapping);

  // Call it when a batch of commands is about to begin. `mark` is the cursor's, behind the last
  // command of the batch. Returns false if the daemon passed over nothing before the end of the
  // batch; then next_before() need not be called.
  bool any_before(const RingCursor::Mark& mark) const {
    return known_ && mark.known && mark.passed_over != passed_over_;
  }
  // Returns the next item in front of this command. Call it before each command of such a batch
  // begins, until it returns nothing.
  std::optional<Item> next_before(std::uint16_t cmd_id);
  // Call it when the batch has begun.
  void reached(const RingCursor::Mark& mark);

  // Returns the next notice behind the last command that began and in front of the next one.
  std::optional<Item> next_notice();
  // Whether the last notice that was returned names this command.
  bool is_named(std::uint16_t cmd_id) const { return named_.test(cmd_id); }

  // Returns the rest of the ring. `all_answered`: every command that began is answered. If the
  // position is lost, it is then found again: it is cmd_tail.
  Rest rest(bool all_answered);
  // Returns the next item of the rest, until it returns nothing: then all of the rest was passed.
  std::optional<Item> next_of(const Rest& rest);
  // Whether all entries before `position` were dealt with.
  bool is_at(std::uint32_t position) const { return known_ && at_ == position; }
  std::uint32_t position() const { return at_; }

 private:
  std::optional<RingEntries::Entry> entry_at(std::uint32_t position) const;
  std::optional<Item> pass(const RingEntries::Entry& entry);
  Item read_notice(std::uint32_t position, const RingEntries::Entry& entry);

  std::span<const std::byte> mapping_;
  RingEntries entries_;
  std::uint32_t at_;               // everything before it was dealt with
  std::uint32_t seen_;             // at_, or further on: all notices before it were dealt with, too
  std::uint32_t passed_over_ = 0;  // the mark's count at at_
  bool known_ = true;              // false: at_ is lost until the cursor finds its place again
  std::bitset<std::size_t{1} << 16> named_;  // the commands that the last notice names
};

}  // namespace ballast::handler
