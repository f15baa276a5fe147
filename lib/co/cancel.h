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

// Somebody who hears of it when a source asks. Leaves by itself.
class CancelHook : public ListNode<CancelHook> {
 public:
  CancelHook() = default;
  virtual ~CancelHook() { unhook(); }

  // Registers with the token's source, unless that has asked already: then nothing is registered
  // and the answer is true. An empty token registers nothing.
  bool hook(CancelToken token);
  void unhook();

 private:
  friend class CancelSource;
  // The source asks; the hook has left it. Must not destroy other hooks.
  virtual void cancel_requested() = 0;
  CancelSource* source_ = nullptr;
};

// The registration of one wait with one source. A local next to the Wait.
class CancelLink final : public CancelHook {
 public:
  CancelLink() = default;

  // When the source asks: wakes `waker` with `value`, unless that wait is over by then (which is
  // no mistake: one of several ways to end it came first). Wakes at once if it was asked before.
  // An empty token registers nothing. Not armed already.
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
  ~CancelSource() = default;  // asserts that nobody is registered
  CancelSource(const CancelSource&) = delete;
  CancelSource& operator=(const CancelSource&) = delete;

  // Tells everybody registered, in the order they came. A second request does nothing.
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
