// SPDX-License-Identifier: Apache-2.0
// Errors as values.
//
// Result<T> is for operations that can explain a failure in words: opening, configuring, resizing.
// Its Error carries an errno value for programs and one sentence for people: what was tried, with
// which value, why it failed, what to do. IoStatus is for the data path: one trivial value, no
// heap. The place that found the error has logged the sentence.
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "lib/base/assert.h"

namespace ballast {

struct Error {
  int errno_value;      // as <errno.h>, positive; EINVAL where nothing fits better
  std::string message;  // one sentence, no newline
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_{std::in_place_index<0>, std::move(value)} {}
  Result(Error error) : state_{std::in_place_index<1>, std::move(error)} {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    BALLAST_ASSERT(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    BALLAST_ASSERT(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    BALLAST_ASSERT(ok());
    return std::move(std::get<0>(state_));
  }
  const Error& error() const {
    BALLAST_ASSERT(!ok());
    return std::get<1>(state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() : ok_{true}, error_{} {}
  Result(Error error) : ok_{false}, error_{std::move(error)} {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    BALLAST_ASSERT(!ok_);
    return error_;
  }

 private:
  bool ok_;
  Error error_;
};

// The result of one backend operation. Only lib/scsi turns these into sense data.
enum class IoStatus : std::uint8_t {
  ok,
  medium_error,     // the data could not be read or written (EIO and kin)
  no_space,         // thin storage is full (ENOSPC, EDQUOT)
  not_supported,    // this backend has no such operation; nothing was done
  out_of_range,     // past the end of the backend; nothing was done
  write_protected,  // read-only backend (EROFS, EBADF on write); nothing was done
  no_resource,      // out of memory or slots; nothing was done, a retry may work
  cancelled,        // asked to stop, and certainly not done
  not_ready,        // backend closed, lost or not yet open; an operation that was under way when it
                    // was lost may have happened
};

// A task that returns IoStatus ends with this when memory runs out (lib/co/task.h).
constexpr IoStatus when_out_of_memory(const IoStatus*) {
  return IoStatus::no_resource;
}

template <class T>
Result<T> when_out_of_memory(const Result<T>*) {
  return Error{ENOMEM, "out of memory"};
}

constexpr bool ok(IoStatus status) {
  return status == IoStatus::ok;
}

// The status in words, for logs: "medium error", "no space", ...
const char* to_string(IoStatus status) noexcept;

}  // namespace ballast
