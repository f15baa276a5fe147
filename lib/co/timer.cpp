// SPDX-License-Identifier: Apache-2.0
#include "lib/co/timer.h"

#include <utility>

#include "lib/base/assert.h"

namespace ballast::co {

void Timer::arm(TimePoint at, Waker waker, std::int64_t value, Site site) {
  BALLAST_ASSERT(!armed());
  at_ = at;
  waker_ = waker;
  value_ = value;
  site_ = site;
  may_lose_ = false;
  timers_.insert(this);
}

void Timer::arm_deadline(TimePoint at, Waker waker, std::int64_t value, Site site) {
  arm(at, waker, value, site);
  may_lose_ = true;
}

void Timer::disarm() {
  if (armed()) {
    timers_.erase(this);
  }
}

Timers::~Timers() {
  BALLAST_ASSERT(heap_.empty());
}

void Timers::fire(TimePoint now) {
  while (!heap_.empty() && heap_.front()->at_ <= now) {
    Timer* const timer = heap_.front();
    erase(timer);
    if (!timer->may_lose_ || timer->waker_.pending()) {
      (void)timer->waker_.wake(timer->value_, timer->site_);
    }
  }
}

bool Timers::before(const Timer* a, const Timer* b) {
  return a->at_ != b->at_ ? a->at_ < b->at_ : a->order_ < b->order_;
}

void Timers::insert(Timer* timer) {
  timer->order_ = next_order_++;
  timer->index_ = heap_.size();
  heap_.push_back(timer);
  up(timer->index_);
}

void Timers::erase(Timer* timer) {
  const std::size_t index = timer->index_;
  BALLAST_ASSERT(index < heap_.size() && heap_[index] == timer);
  Timer* const last = heap_.back();
  heap_.pop_back();
  timer->index_ = Timer::none;
  if (last != timer) {
    heap_[index] = last;
    last->index_ = index;
    up(index);
    down(last->index_);
  }
}

void Timers::up(std::size_t index) {
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (!before(heap_[index], heap_[parent])) {
      return;
    }
    std::swap(heap_[index], heap_[parent]);
    heap_[index]->index_ = index;
    heap_[parent]->index_ = parent;
    index = parent;
  }
}

void Timers::down(std::size_t index) {
  for (;;) {
    std::size_t least = index;
    for (std::size_t child = 2 * index + 1; child <= 2 * index + 2; ++child) {
      if (child < heap_.size() && before(heap_[child], heap_[least])) {
        least = child;
      }
    }
    if (least == index) {
      return;
    }
    std::swap(heap_[index], heap_[least]);
    heap_[index]->index_ = index;
    heap_[least]->index_ = least;
    index = least;
  }
}

}  // namespace ballast::co
