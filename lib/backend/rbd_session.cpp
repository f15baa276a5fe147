// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_session.h"

#include <functional>
#include <utility>

#include "lib/backend/rbd_lock.h"
#include "lib/base/assert.h"

namespace ballast::backend {

co::Task<void> RbdSession::end() {
  running_.close();
  co_await running_.drain();
  co_await size_watch_.close();
  std::function<int()> work = [this] {
    if (!lost_ && !image_.address.empty()) {
      end_ownership(*image_.connection);
    }
    image_.connection.reset();
    return 0;
  };
  const int ended = co_await control_.run(std::move(work));
  BALLAST_ASSERT(ended == 0 || image_.connection != nullptr);
}

}  // namespace ballast::backend
