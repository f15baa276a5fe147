// SPDX-License-Identifier: Apache-2.0
#include "lib/volume/fences.h"

#include <algorithm>

namespace ballast::volume {

template <class Visit>
bool Fences::visit_overlapping(Hold* node, Lba first, Lba end, Visit visit) {
  while (node != nullptr && node->furthest_ > first) {
    if (!visit_overlapping(node->left_, first, end, visit)) {
      return false;
    }
    if (node->first_ >= end) {
      return true;  // everything to the right begins even later
    }
    if (node->end_ > first && !visit(*node)) {
      return false;
    }
    node = node->right_;
  }
  return true;
}

Fences::Hold::Hold(Fences& fences, Lba first, BlockCount count, Kind kind)
    : fences_{fences},
      first_{first},
      end_{first + count},
      order_{fences.next_order_++},
      kind_{kind},
      furthest_{end_} {
  // A linear congruential generator: it is good enough for a treap, and runs can be repeated.
  fences_.random_ = fences_.random_ * 6364136223846793005U + 1442695040888963407U;
  priority_ = static_cast<std::uint32_t>(fences_.random_ >> 32);
  (void)visit_overlapping(fences_.root_, first_, end_, [this](const Hold& earlier) {
    blockers_ += waits_for(earlier) ? 1U : 0U;
    return true;
  });
  fences_.insert(this);
}

Fences::Hold::~Hold() {
  fences_.erase(this);
  if (kind_ != Kind::change) {
    return;
  }
  fences_.fenced_ -= fenced_ ? 1U : 0U;
  if (granted()) {
    fences_.ended_[fences_.ended_count_++ % remembered] = Ended{first_, end_};
  }
  let_go_on();
}

bool Fences::Hold::waits_for(const Hold& earlier) const {
  if (earlier.kind_ != Kind::change || (earlier.fenced_ && fences_.sabotaged_)) {
    return false;
  }
  // The earlier change counts even if it is not granted yet. A read that came before the fence need
  // not wait: it is older than the answer that made the fence necessary.
  return kind_ != Kind::read ? order_ > earlier.order_
                             : earlier.fenced_ && order_ > earlier.fenced_at_;
}

void Fences::Hold::let_go_on() {
  (void)visit_overlapping(fences_.root_, first_, end_, [this](Hold& later) {
    if (&later != this && later.waits_for(*this)) {
      later.unblock();
    }
    return true;
  });
}

void Fences::Hold::unblock() {
  BALLAST_ASSERT(blockers_ > 0);
  if (--blockers_ == 0 && waker_.pending()) {
    (void)waker_.wake();
  }
}

co::Task<bool> Fences::Hold::wait(co::Executor& executor, co::CancelToken cancel) {
  BALLAST_ASSERT(!granted());
  co::Wait wait{executor, "an overlapping command"};
  waker_ = wait.waker();
  co::CancelLink link;
  link.arm(cancel, wait.waker());
  co_await wait;
  link.disarm();
  waker_ = {};
  co_return granted() && !cancel.requested();
}

void Fences::Hold::fence_off() {
  BALLAST_ASSERT(kind_ == Kind::change && granted() && !fenced_);
  if (fences_.sabotaged_) {
    let_go_on();
  }
  fenced_ = true;
  fenced_at_ = fences_.next_order_++;
  ++fences_.fenced_;
}

bool Fences::changed_since(std::uint64_t mark, Lba first, BlockCount count) const {
  BALLAST_ASSERT(mark <= ended_count_);
  if (ended_count_ - mark > remembered) {
    return true;
  }
  const Lba end = first + count;
  for (std::uint64_t i = mark; i < ended_count_; ++i) {
    const Ended& ended = ended_[i % remembered];
    if (ended.first < end && first < ended.end) {
      return true;
    }
  }
  return !visit_overlapping(root_, first, end, [](const Hold& hold) {
    return !(hold.kind_ == Kind::change && hold.granted());
  });
}

// --- the treap

void Fences::update(Hold* node) {
  node->furthest_ = node->end_;
  for (const Hold* child : {node->left_, node->right_}) {
    if (child != nullptr) {
      node->furthest_ = std::max(node->furthest_, child->furthest_);
    }
  }
}

// Moves the nodes below `node` to below `pivot`: those before `pivot` to its left, the others to
// its right.
void Fences::split(Hold* node, Hold* pivot) {
  Hold** left = &pivot->left_;
  Hold** right = &pivot->right_;
  Hold* left_end = pivot;
  Hold* right_end = pivot;
  while (node != nullptr) {
    const bool goes_left = before(node, pivot);
    Hold**& place = goes_left ? left : right;
    Hold*& end = goes_left ? left_end : right_end;
    *place = node;
    node->parent_ = end;
    end = node;
    place = goes_left ? &node->right_ : &node->left_;
    node = *place;
  }
  *left = nullptr;
  *right = nullptr;
  for (Hold* at = left_end; at != pivot; at = at->parent_) {
    update(at);
  }
  for (Hold* at = right_end; at != pivot; at = at->parent_) {
    update(at);
  }
}

void Fences::insert(Hold* hold) {
  Hold** place = &root_;
  Hold* parent = nullptr;
  while (*place != nullptr && (*place)->priority_ >= hold->priority_) {
    parent = *place;
    parent->furthest_ = std::max(parent->furthest_, hold->end_);
    place = before(parent, hold) ? &parent->right_ : &parent->left_;
  }
  split(*place, hold);
  *place = hold;
  hold->parent_ = parent;
  update(hold);
  ++count_;
}

void Fences::erase(Hold* hold) {
  Hold* parent = hold->parent_;
  Hold** place = &root_;
  if (parent != nullptr) {
    place = parent->left_ == hold ? &parent->left_ : &parent->right_;
  }
  // Merge the two subtrees in its place.
  Hold* left = hold->left_;
  Hold* right = hold->right_;
  while (left != nullptr && right != nullptr) {
    const bool takes_left = left->priority_ > right->priority_;
    Hold*& taken = takes_left ? left : right;
    *place = taken;
    taken->parent_ = parent;
    parent = taken;
    place = takes_left ? &parent->right_ : &parent->left_;
    taken = *place;
  }
  Hold* const rest = left != nullptr ? left : right;
  *place = rest;
  if (rest != nullptr) {
    rest->parent_ = parent;
  }
  // The furthest ends of the ancestors may shrink.
  for (Hold* at = parent; at != nullptr; at = at->parent_) {
    update(at);
  }
  --count_;
}

}  // namespace ballast::volume
