// SPDX-License-Identifier: Apache-2.0
// Cancellation that only asks.
//
// A CancelSource belongs to whoever may change his mind; its tokens go to those who should hear of
// it. Asking stops nobody: code that holds a token looks at requested(), and a wait that registered
// (sleep, event, or any Wait through a CancelLink) ends early. What was started at a backend goes
// on until the backend says otherwise.
//
// The source outlives its tokens and every wait registered with it. Driving thread only. Allocates
// nothing.
#pragma once

#include <cstdint>

#include "lib/co/intrusive_list.h"
#include "lib/co/wait.h"

namespace ballast::co {

class CancelSource;

// A copyable view of a source. An empty token is never requested.
class CancelToken {
 public:
  CancelToken() = default;
  bool requested() const;
  explicit operator bool() const { return source_ != nullptr; }

 private:
  friend class CancelSource;
  friend class CancelLink;
  explicit CancelToken(CancelSource* source) : source_{source} {}
  CancelSource* source_ = nullptr;
};

// The registration of one wait with one source. A local next to the Wait; leaves by itself.
class CancelLink : public ListNode<CancelLink> {
 public:
  CancelLink() = default;
  ~CancelLink() { disarm(); }

  // When the source asks: wakes `waker` with `value`, unless that wait is over by then (which is
  // no mistake: one of several ways to end it came first). Wakes at once if it was asked before.
  // An empty token registers nothing. Not armed already.
  void arm(CancelToken token, Waker waker, std::int64_t value = 0, Site site = Site::current());
  void disarm();

 private:
  friend class CancelSource;
  CancelSource* source_ = nullptr;
  Waker waker_{};
  std::int64_t value_ = 0;
  Site site_{};
};

class CancelSource {
 public:
  CancelSource() = default;
  ~CancelSource() = default;  // asserts that no wait is registered
  CancelSource(const CancelSource&) = delete;
  CancelSource& operator=(const CancelSource&) = delete;

  // Wakes every registered wait, in the order they came. A second request does nothing.
  void request();
  bool requested() const { return requested_; }
  CancelToken token() { return CancelToken{this}; }

 private:
  friend class CancelLink;
  bool requested_ = false;
  IntrusiveList<CancelLink> links_;
};

inline bool CancelToken::requested() const {
  return source_ != nullptr && source_->requested();
}

}  // namespace ballast::co
