// SPDX-License-Identifier: Apache-2.0
#include "handler/sweep.h"

namespace ballast::handler {

void Sweep::before(std::uint16_t cmd_id) {
  for (auto item = passed_over_.next_before(cmd_id); item;
       item = passed_over_.next_before(cmd_id)) {
    deal_with(*item);
  }
}

void Sweep::deal_with(const PassedOver::Item& item) {
  if (item.is_notice) {
    host_.abort_named(passed_over_, item.named);
  } else {
    host_.answer_thrown_away(item.cmd_id);
  }
}

void Sweep::look(TimePoint now) {
  for (auto notice = passed_over_.next_notice(); notice; notice = passed_over_.next_notice()) {
    deal_with(*notice);
  }
  answer_left_over(now);
}

// Behind the last command that began there may be commands that the daemon threw away. They must be
// answered, because the daemon cannot stop while the ring holds entries. But an answer overwrites
// an entry, so the daemon must have read that entry before. The daemon does not report how far it
// has read; but it reads the ring as soon as it wakes. So Ballast answers only when the entries
// have stood there for left_over_age and the daemon has taken their event.
void Sweep::answer_left_over(TimePoint now) {
  const PassedOver::Rest rest = passed_over_.rest(host_.unanswered() == 0);
  if (rest != left_over_) {
    left_over_ = rest;
    left_over_since_ = now;
  }
  if (now - left_over_since_ < left_over_age || !host_.daemon_is_asleep()) {
    return;
  }
  if (rest.from != rest.to && cursor_.pass_by(rest.from, rest.to)) {
    for (auto item = passed_over_.next_of(rest); item; item = passed_over_.next_of(rest)) {
      deal_with(*item);
    }
  }
  if (host_.unanswered() == 0 && passed_over_.is_at(rest.to)) {
    host_.skip_to(rest.to);
  }
}

}  // namespace ballast::handler
