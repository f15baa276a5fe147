// SPDX-License-Identifier: Apache-2.0
// A first-in first-out list whose links live in its members: queueing allocates nothing, and a
// member can leave from the middle.
//
// The list does not own its members. A member is in one list at a time and must not move while it
// is linked. Driving thread only.
#pragma once

#include <cstddef>

#include "lib/base/assert.h"

namespace ballast::co {

struct Anatomy;

template <class T>
class IntrusiveList;

// T derives from ListNode<T>.
template <class T>
class ListNode {
 public:
  ListNode() = default;
  ~ListNode() { BALLAST_ASSERT(!linked_); }
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  bool linked() const { return linked_; }

 private:
  friend class IntrusiveList<T>;
  friend struct Anatomy;
  T* prev_ = nullptr;
  T* next_ = nullptr;
  bool linked_ = false;
};

template <class T>
class IntrusiveList {
 public:
  IntrusiveList() = default;
  ~IntrusiveList() { BALLAST_ASSERT(empty()); }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return head_ == nullptr; }
  std::size_t size() const { return size_; }
  T* front() const { return head_; }
  T* back() const { return tail_; }
  // The member behind `member`; null behind the last.
  T* after(const T& member) const {
    const ListNode<T>& node = member;
    return node.next_;
  }

  void push_back(T& member) {
    ListNode<T>& node = member;
    BALLAST_ASSERT(!node.linked_);
    node.linked_ = true;
    node.prev_ = tail_;
    node.next_ = nullptr;
    (tail_ != nullptr ? node_of(tail_).next_ : head_) = &member;
    tail_ = &member;
    ++size_;
  }

  void remove(T& member) {
    ListNode<T>& node = member;
    BALLAST_ASSERT(node.linked_);
    (node.prev_ != nullptr ? node_of(node.prev_).next_ : head_) = node.next_;
    (node.next_ != nullptr ? node_of(node.next_).prev_ : tail_) = node.prev_;
    node.linked_ = false;
    --size_;
  }

  // Null when empty.
  T* pop_front() {
    T* const first = head_;
    if (first != nullptr) {
      remove(*first);
    }
    return first;
  }

 private:
  friend struct Anatomy;
  static ListNode<T>& node_of(T* member) { return *member; }
  T* head_ = nullptr;
  T* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ballast::co
