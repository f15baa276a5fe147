// SPDX-License-Identifier: Apache-2.0
// Cancellation is a request; it stops nothing by force.
//
// The code that may change its mind owns a CancelSource, and gives its tokens to the code that
// should hear of it. Code that holds a token looks at requested(). A wait that is registered with
// the source (sleep, event, or any Wait through a CancelLink) ends early. An operation that a
// backend has begun goes on until the backend ends it.
//
// The source outlives its tokens and every wait registered with it. Driving thread only. Allocates
// nothing.
#pragma once

#include <cstdint>

#include "lib/co/intrusive_list.h"
#include "lib/co/wait.h"

namespace ballast::co {

class CancelSource;
class CancelHook;

// A copyable view of a source. An empty token is never requested.
class CancelToken {
 public:
  CancelToken() = default;
  bool requested() const;
  explicit operator bool() const { return source_ != nullptr; }

 private:
  friend class CancelSource;
  friend class CancelHook;
  explicit CancelToken(CancelSource* source) : source_{source} {}
  CancelSource* source_ = nullptr;
};

// Is called when a source is asked to cancel. Unregisters itself when it is destroyed.
class CancelHook : public ListNode<CancelHook> {
 public:
  CancelHook() = default;
  virtual ~CancelHook() { unhook(); }

  // Registers with the token's source. If cancellation was requested already, it registers nothing
  // and returns true. An empty token registers nothing.
  bool hook(CancelToken token);
  void unhook();

 private:
  friend class CancelSource;
  // Cancellation is requested. The hook is no longer registered. Must not destroy other hooks.
  virtual void cancel_requested() = 0;
  CancelSource* source_ = nullptr;
};

// The registration of one wait with one source. A local variable next to the Wait.
class CancelLink final : public CancelHook {
 public:
  CancelLink() = default;

  // When cancellation is requested, wakes `waker` with `value`, unless that wait is over by then: a
  // wait may have several ways to end. If it was requested before, wakes at once. An empty token
  // registers nothing. The link must not be armed already.
  void arm(CancelToken token, Waker waker, std::int64_t value = 0, Site site = Site::current());
  void disarm() { unhook(); }

 private:
  void cancel_requested() override;
  Waker waker_{};
  std::int64_t value_ = 0;
  Site site_{};
};

class CancelSource {
 public:
  CancelSource() = default;
  ~CancelSource() = default;  // asserts that no hook is registered
  CancelSource(const CancelSource&) = delete;
  CancelSource& operator=(const CancelSource&) = delete;

  // Tells every registered hook, in the order of registration. A second request does nothing.
  void request();
  bool requested() const { return requested_; }
  CancelToken token() { return CancelToken{this}; }

 private:
  friend class CancelHook;
  bool requested_ = false;
  IntrusiveList<CancelHook> hooks_;
};

inline bool CancelToken::requested() const {
  return source_ != nullptr && source_->requested();
}

}  // namespace ballast::co
