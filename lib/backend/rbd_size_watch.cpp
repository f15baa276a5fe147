// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_size_watch.h"

#include <functional>
#include <utility>

#include "lib/base/log.h"

namespace ballast::backend {

RbdSizeWatch::RbdSizeWatch(co::Executor& executor, io::HelperThread& helper,
                           RbdConnection& connection, Bytes image_size, const Bytes& lun_size)
    : executor_{executor},
      helper_{helper},
      connection_{connection},
      lun_size_{lun_size},
      known_{image_size},
      looks_{executor} {}

void RbdSizeWatch::watch() {
  begun_ = true;
  watches_ = connection_.library().rbd_update_watch(connection_.image(), &handle_,
                                                    &RbdSizeWatch::changed, this) == 0;
  // Somebody may have changed it between opening the image and now.
  looks_.spawn("the image's size", look());
}

// On a thread of librbd.
void RbdSizeWatch::changed(void* self) {
  auto& watch = *static_cast<RbdSizeWatch*>(self);
  if (!watch.told_.exchange(true)) {
    watch.executor_.post(co::Message{.run = &RbdSizeWatch::look_soon, .context = self});
  }
}

void RbdSizeWatch::look_soon(void* self, std::int64_t) {
  auto& watch = *static_cast<RbdSizeWatch*>(self);
  watch.told_ = false;  // what changes from now on is another change
  watch.looks_.spawn("the image's size", watch.look());
}

co::Task<void> RbdSizeWatch::look() {
  std::uint64_t size = 0;
  std::function<int()> work = [this, &size] {
    return connection_.library().rbd_get_size(connection_.image(), &size);
  };
  const int asked = co_await helper_.run(std::move(work));
  if (asked >= 0 && Bytes{size} != known_) {
    known_ = Bytes{size};
    say(known_);
  }
}

void RbdSizeWatch::say(Bytes size) {
  if (size < lun_size_) {
    log(LogLevel::error,
        "{}: the image was made smaller: it has {} bytes, and the LUN {}; commands past its end "
        "are "
        "answered LBA OUT OF RANGE; make it larger again (rbd resize), or the LUN smaller "
        "(dev_size)",
        connection_.name(), size.value(), lun_size_.value());
  } else if (size > lun_size_) {
    log(LogLevel::info,
        "{}: the image has {} bytes now, and the LUN {}; to use them, set the LUN's dev_size in "
        "configfs",
        connection_.name(), size.value(), lun_size_.value());
  }
}

// librbd calls back no more once the watch was ended, and what it posted before that has come.
co::Task<void> RbdSizeWatch::close() {
  if (watches_) {
    std::function<int()> work = [this] {
      return connection_.library().rbd_update_unwatch(connection_.image(), handle_);
    };
    (void)co_await helper_.run(std::move(work));
  }
  co_await looks_.join();
}

}  // namespace ballast::backend
