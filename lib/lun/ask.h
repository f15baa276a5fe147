// SPDX-License-Identifier: Apache-2.0
// Asks a LUN something from a thread that does not drive it, and waits for the answer.
//
//   const std::optional<Result<Count>> answer =
//       ask<Count>(executor, patience, [&lun](const auto& asked) { asked->answer(lun.count()); });
//
// The question is a message to the executor, which answers it at once or later. The asking thread
// waits no longer than `patience`, and then gets nullopt. The executor still deals with the
// question. So the question must own everything that it refers to, except objects that outlive
// every message. A thread that drives the executor must not ask: it would wait for itself.
//
// An executor that is stuck keeps the questions that nobody waits for any more. When hundreds of
// them are there, the next ones are turned away (EBUSY), for a full mailbox would hold the asking
// thread.
//
// tell() does not wait, and turns nothing away.
#pragma once

#include <bit>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <semaphore>
#include <utility>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/executor.h"

namespace ballast::lun {

// Both sides share it, because the asking thread may stop waiting.
template <class T>
class Asked {
 public:
  // Call it once, on the driving thread.
  void answer(Result<T> with) {
    answer_.emplace(std::move(with));
    done_.release();
  }
  // Call it once, on the asking thread.
  std::optional<Result<T>> wait(Nanoseconds patience) {
    return done_.try_acquire_for(patience) ? std::move(answer_) : std::nullopt;
  }

 private:
  std::optional<Result<T>> answer_;
  std::binary_semaphore done_{0};
};

// Has the executor call serve(), and fail(ENOMEM) if memory runs out in that. If tell() throws
// std::bad_alloc, neither is called.
template <class Serve, class Fail>
void tell(co::Executor& executor, Serve serve, Fail fail) {
  struct Wish {
    Serve serve;
    Fail fail;
  };
  auto wish = std::make_unique<Wish>(std::move(serve), std::move(fail));
  executor.post(co::Message{.run =
                                [](void*, std::int64_t value) {
                                  const std::unique_ptr<Wish> here{std::bit_cast<Wish*>(value)};
                                  // An exception would take the driving thread out of the executor.
                                  try {
                                    here->serve();
                                  } catch (const std::bad_alloc&) {
                                    here->fail(Error{ENOMEM, "out of memory"});
                                  }
                                },
                            .value = std::bit_cast<std::int64_t>(wish.release())});
}

inline Error turned_away() {
  return {EBUSY, "the LUN's thread is stuck, and does not come to what it was asked before"};
}

// If it throws std::bad_alloc, nothing was asked. If memory runs out while the executor serves the
// question, the answer is ENOMEM.
template <class T, class Serve>
std::optional<Result<T>> ask(co::Executor& executor, Nanoseconds patience, Serve serve) {
  if (executor.mailbox().is_crowded()) {
    return Result<T>{turned_away()};
  }
  const auto asked = std::make_shared<Asked<T>>();
  tell(
      executor, [asked, serve = std::move(serve)] { serve(asked); },
      [asked](Error error) { asked->answer(std::move(error)); });
  return asked->wait(patience);
}

}  // namespace ballast::lun
