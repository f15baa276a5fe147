// SPDX-License-Identifier: Apache-2.0
// Sweep: deals with the entries that the daemon passes over in a device's ring (PassedOver). It
// answers commands that were thrown away, acts on notices, and moves cmd_tail over entries that
// need no answer.
//
// Driving thread only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "handler/passed_over.h"
#include "handler/ring_cursor.h"
#include "lib/base/units.h"

namespace ballast::handler {

class Sweep {
 public:
  // How long commands that were thrown away stand at the ring's end before Sweep answers them.
  static constexpr Nanoseconds left_over_age = std::chrono::seconds{2};

  // The functions of the device that Sweep needs.
  class Host {
   public:
    virtual std::size_t unanswered() const = 0;  // commands that began
    virtual bool daemon_is_asleep() const = 0;   // it took the event of all entries
    virtual void answer_thrown_away(std::uint16_t cmd_id) = 0;
    // Ends the commands that the last notice names and that have begun; `named` says how many the
    // notice names. See PassedOver::is_named().
    virtual void abort_named(const PassedOver& names, std::size_t named) = 0;
    virtual void skip_to(std::uint32_t position) = 0;  // moves cmd_tail

   protected:
    ~Host() = default;
  };

  // `mapping` begins with the mailbox. All three outlive this object.
  Sweep(std::span<const std::byte> mapping, RingCursor& cursor, Host& host)
      : passed_over_{mapping}, cursor_{cursor}, host_{host} {}

  // See PassedOver.
  bool any_before(const RingCursor::Mark& mark) const { return passed_over_.any_before(mark); }
  void reached(const RingCursor::Mark& mark) { passed_over_.reached(mark); }
  std::uint32_t position() const { return passed_over_.position(); }
  // Deals with the items in front of a command that is about to begin.
  [[gnu::cold]] void before(std::uint16_t cmd_id);

  // Looks at the end of the ring, behind the last command that began.
  void look(TimePoint now);

 private:
  void deal_with(const PassedOver::Item& item);
  void answer_left_over(TimePoint now);

  PassedOver passed_over_;
  RingCursor& cursor_;
  Host& host_;
  PassedOver::Rest left_over_;  // at the last look
  TimePoint left_over_since_{};
};

}  // namespace ballast::handler
