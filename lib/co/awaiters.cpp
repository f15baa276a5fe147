// SPDX-License-Identifier: Apache-2.0
#include "lib/co/awaiters.h"

#include "lib/co/task.h"

namespace ballast::co {

std::vector<Site> awaited_at(const TaskInfo& task) {
  std::vector<Site> places;
  if (task.waits_for == nullptr) {
    return places;
  }
  // All promises begin with a PromiseBase, and none is aligned more widely.
  using Any = std::coroutine_handle<PromiseBase>;
  const PromiseBase* promise = &Any::from_address(task.frame).promise();
  while (promise->continuation_) {
    places.push_back(promise->awaited_at_);
    promise = &Any::from_address(promise->continuation_.address()).promise();
  }
  return places;
}

}  // namespace ballast::co
