// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/factory.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <utility>

#include "lib/backend/checked.h"
#include "lib/backend/fault.h"
#include "lib/base/errand.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

// Whether a LUN may have this size and block size, on any kind of store.
Result<void> check_numbers(Bytes size, Bytes logical_block) {
  const std::uint64_t block = logical_block.value();
  if (block < 512 || block > 4096 || (block & (block - 1)) != 0) {
    return Error{EINVAL, fmt::format("the LUN's block size is {}: create the backstore "
                                     "with hw_block_size 512, 1024, 2048 or 4096",
                                     block)};
  }
  if (size == Bytes{} || size.value() % block != 0) {
    return Error{EINVAL, fmt::format("the LUN's size of {} bytes is not a multiple of its block "
                                     "size of {}: create the backstore with a size that is",
                                     size.value(), block)};
  }
  return {};
}

class Wrapped final : public StoreSource {
 public:
  Wrapped(std::unique_ptr<StoreSource> inner, std::string fault_control)
      : inner_{std::move(inner)}, fault_control_{std::move(fault_control)} {}

  State wait(Nanoseconds patience) override { return inner_->wait(patience); }
  State state() override { return inner_->state(); }
  Error error() override { return inner_->error(); }
  Store take() override {
    Store store = inner_->take();
    if (!fault_control_.empty()) {
      store.backend = make_fault(make_checked(std::move(store.backend)), fault_control_);
    }
    store.backend = make_checked(std::move(store.backend));
    return store;
  }

 private:
  const std::unique_ptr<StoreSource> inner_;
  const std::string fault_control_;
};

}  // namespace

Result<void> check_now(const StoreOrder& order) {
  const StoreConfig& config = order.config;
  if (!config.fault_control.empty()) {
    if (const Result<void> control = check_fault_control(config.fault_control); !control) {
      return control;
    }
  }
  return config.kind->check != nullptr ? config.kind->check(order) : Result<void>{};
}

Result<void> check(StoreOrder order, Nanoseconds patience) {
  const std::string what = to_string(order.config);
  const bool is_remote = order.config.kind->is_remote;
  const std::optional<Result<void>> answer = ask_with_patience<Result<void>>(
      "ballast/check", patience, [order = std::move(order)] { return check_now(order); });
  if (!answer.has_value() && is_remote) {
    return {};
  }
  if (!answer.has_value()) {
    return Error{ETIMEDOUT,
                 fmt::format("{} does not answer within {}: the storage hangs; try again when it "
                             "answers",
                             what, config::format_duration(patience))};
  }
  return *answer;
}

Result<std::unique_ptr<StoreSource>> open(StoreOrder order, const OpenContext& context) {
  if (const Result<void> numbers = check_numbers(context.size, context.logical_block); !numbers) {
    return numbers.error();
  }
  const Kind& kind = *order.config.kind;
  std::string fault_control = order.config.fault_control;
  return std::unique_ptr<StoreSource>{
      std::make_unique<Wrapped>(kind.open(std::move(order), context), std::move(fault_control))};
}

}  // namespace ballast::backend
