// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/elevator.h"

#include <algorithm>

#include "lib/base/assert.h"

namespace ballast::backend {

Elevator::Elevator(co::Executor& executor, const ElevatorRules& rules, std::size_t places)
    : executor_{executor}, rules_{rules}, places_{places}, depth_{rules.target_latency, places} {
  BALLAST_ASSERT(places > 0);
}

Elevator::~Elevator() {
  BALLAST_ASSERT(at_store_ == 0);
}

void Elevator::set_rules(const ElevatorRules& rules) {
  rules_ = rules;
  depth_.set_target(rules.target_latency);
  give();
}

// --- seats

Elevator::Seat::~Seat() {
  if (elevator_ != nullptr) {
    elevator_->ended(*this);
  }
}

void Elevator::Seat::take(Elevator& elevator, Kind kind, TimePoint now) {
  BALLAST_ASSERT(elevator_ == nullptr);
  elevator_ = &elevator;
  kind_ = kind;
  since_ = now;
  if (kind == Kind::read) {
    undisturbed_ = elevator.changes_at_store_ <= 1;
    elevator.reads_.push_back(*this);
  }
}

bool Elevator::take_at_once(Seat& seat, Kind kind, Bytes from, Bytes length) {
  const TimePoint now = executor_.now();
  depth_.look(now, oldest_read(now));
  const bool may_go = kind != Kind::change || (has_room_for_change() && !is_late(now));
  if (waiting_ > 0 || at_store_ == places_ || !may_go) {
    return false;
  }
  count(kind, from + length);
  seat.take(*this, kind, now);
  return true;
}

bool Elevator::Waiter::await_ready() {
  since_ = elevator_.executor_.now();
  elevator_.enter(*this);
  elevator_.give();
  return granted_ || wait_.over_before_it_began();
}

void Elevator::Waiter::await_resume() {
  (void)wait_.finish();
  if (granted_) {
    seat_.take(elevator_, kind_, elevator_.executor_.now());
  } else if (co::ListNode<Waiter>::linked()) {
    elevator_.leave(*this);
  }
}

void Elevator::enter(Waiter& waiter) {
  ++waiting_;
  queue(waiter.kind_).by_age.push_back(waiter);
  queue(waiter.kind_).by_address.insert(waiter);
}

void Elevator::leave(Waiter& waiter) {
  --waiting_;
  queue(waiter.kind_).by_age.remove(waiter);
  queue(waiter.kind_).by_address.erase(queue(waiter.kind_).by_address.iterator_to(waiter));
}

void Elevator::ended(Seat& seat) {
  --at_store_;
  changes_at_store_ -= seat.kind_ == Kind::change ? 1U : 0U;
  if (seat.kind_ == Kind::read) {
    depth_.read_ended(executor_.now() - seat.since_, seat.undisturbed_);
    reads_.remove(seat);
  }
  give();
}

// --- whose turn it is

void Elevator::give() {
  const TimePoint now = executor_.now();
  depth_.look(now, oldest_read(now));
  while (at_store_ < places_) {
    Waiter* const waiter = next(now);
    if (waiter == nullptr) {
      return;
    }
    leave(*waiter);
    if (!waiter->suspended_) {
      waiter->granted_ = true;
      count(waiter->kind_, waiter->end_);
    } else if (waiter->wait_.pending()) {
      waiter->granted_ = true;
      count(waiter->kind_, waiter->end_);
      waiter->wait_.happened();
    }  // otherwise it was cancelled, and has not run since
  }
}

Elevator::Waiter* Elevator::next(TimePoint now) {
  if (Waiter* const flush = queue(Kind::flush).by_age.front(); flush != nullptr) {
    return flush;
  }
  const bool reads = !queue(Kind::read).by_age.empty();
  if ((owed_ > 0 || !reads) && may_change(now)) {
    // Beside a late read only the change goes that cannot wait any longer.
    if (owed_ == 0 && is_late(now)) {
      return queue(Kind::change).by_age.front();
    }
    return next_of(Kind::change, rules_.write_expire, now);
  }
  return reads ? next_of(Kind::read, rules_.read_expire, now) : nullptr;
}

bool Elevator::may_change(TimePoint now) const {
  const Waiter* const oldest = queue(Kind::change).by_age.front();
  const Nanoseconds patience = owed_ > 0 ? rules_.read_expire : rules_.write_expire;
  return oldest != nullptr && has_room_for_change() &&
         (!is_late(now) || now - oldest->since_ > patience);
}

bool Elevator::has_room_for_change() const {
  const bool any_number = owed_ > 0 || sabotage_ == Sabotage::depth_stays;
  return changes_at_store_ < (any_number ? places_ : depth_.depth());
}

bool Elevator::is_late(TimePoint now) const {
  return oldest_read(now) > rules_.target_latency / 4 && sabotage_ != Sabotage::no_hold;
}

Elevator::Waiter* Elevator::next_of(Kind kind, Nanoseconds limit, TimePoint now) {
  Queue& queue = this->queue(kind);
  Waiter* const oldest = queue.by_age.front();
  const bool begins = batch_of_ != kind || batch_left_ == 0;
  if (begins && now - oldest->since_ > limit) {
    return oldest;
  }
  const auto from_here = queue.by_address.lower_bound(position_);
  return from_here != queue.by_address.end() ? &*from_here : &*queue.by_address.begin();
}

void Elevator::count(Kind kind, Bytes end) {
  ++at_store_;
  changes_at_store_ += kind == Kind::change ? 1U : 0U;
  if (kind == Kind::flush) {
    return;
  }
  position_ = end;
  count_batch(kind);
  const bool changes_wait = !queue(Kind::change).by_age.empty();
  if (kind == Kind::change) {
    owed_ -= owed_ > 0 ? 1U : 0U;
    passed_over_ -= std::min(passed_over_, batches_passed_over);
  } else if (changes_wait && ++passed_over_ >= batches_passed_over * batch) {
    passed_over_ = 0;
    owed_ = sabotage_ == Sabotage::changes_starve ? 0 : batch;
  }
  owed_ = changes_wait ? owed_ : 0;
}

void Elevator::count_batch(Kind kind) {
  if (batch_of_ != kind || batch_left_ == 0) {
    batch_of_ = kind;
    batch_left_ = batch;
  }
  --batch_left_;
}

Nanoseconds Elevator::oldest_read(TimePoint now) const {
  const Seat* const oldest = reads_.front();
  return oldest == nullptr ? Nanoseconds{} : now - oldest->since_;
}

}  // namespace ballast::backend
