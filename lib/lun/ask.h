// SPDX-License-Identifier: Apache-2.0
// What a thread that does not drive a LUN asks of it, and the answer.
//
//   const std::optional<Result<Count>> answer =
//       ask<Count>(executor, patience, [&lun](const auto& asked) { asked->answer(lun.count()); });
//
// The question is a message to the executor, and is answered there, at once or later. Whoever asks
// waits no longer than `patience`: nullopt then, and the question is still dealt with. So it must
// own all that it refers to, but for what outlives every message. Not from a thread that drives the
// executor: it would wait for itself.
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

// Shared by both sides, because whoever asks may stop waiting.
template <class T>
class Asked {
 public:
  // Once. Driving thread.
  void answer(Result<T> with) {
    answer_.emplace(std::move(with));
    done_.release();
  }
  // Once. The asking thread.
  std::optional<Result<T>> wait(Nanoseconds patience) {
    return done_.try_acquire_for(patience) ? std::move(answer_) : std::nullopt;
  }

 private:
  std::optional<Result<T>> answer_;
  std::binary_semaphore done_{0};
};

// May throw std::bad_alloc, and then nothing is asked; out of memory at the other end is an answer.
template <class T, class Serve>
std::optional<Result<T>> ask(co::Executor& executor, Nanoseconds patience, Serve serve) {
  struct Question {
    std::shared_ptr<Asked<T>> asked;
    Serve serve;
  };
  const auto asked = std::make_shared<Asked<T>>();
  auto question = std::make_unique<Question>(asked, std::move(serve));
  executor.post(co::Message{.run =
                                [](void*, std::int64_t value) {
                                  const std::unique_ptr<Question> here{
                                      std::bit_cast<Question*>(value)};
                                  // An exception would leave the executor with nobody to drive it.
                                  try {
                                    here->serve(here->asked);
                                  } catch (const std::bad_alloc&) {
                                    here->asked->answer(Error{ENOMEM, "out of memory"});
                                  }
                                },
                            .value = std::bit_cast<std::int64_t>(question.release())});
  return asked->wait(patience);
}

}  // namespace ballast::lun
