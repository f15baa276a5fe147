// SPDX-License-Identifier: Apache-2.0
// RbdSession: one connection to an image, and the operations on it (access_session.h).
//
// A session ends as a whole: if its image was lost or given back, its connection is not used again.
// Operations that still hang keep it, so end() may take as long as the cluster hangs. Meanwhile
// another session may use the image.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/backend/access_session.h"
#include "lib/backend/label.h"
#include "lib/backend/rbd_connection.h"
#include "lib/backend/rbd_probe.h"
#include "lib/backend/rbd_requests.h"
#include "lib/backend/rbd_size_watch.h"
#include "lib/base/units.h"
#include "lib/co/executor.h"
#include "lib/co/task.h"

namespace ballast::backend {

// An image that is open and, if the configuration says so, ours.
struct RbdImage {
  std::unique_ptr<RbdConnection> connection;
  RbdTraits traits;
  bool encrypted = false;
  // Ours, as the lock's owner; empty: we have no lock.
  std::string address{};
  bool has_log = false;  // as in StoreOrder
  std::optional<Label> label{};
};

class RbdSession final : public AccessSession {
 public:
  // `lun_size` says how large the LUN is, and outlives the session.
  RbdSession(co::Executor& executor, RbdImage image, const Bytes& lun_size)
      : AccessSession{executor, "an image's last operation"},
        image_{std::move(image)},
        requests_{executor, image_.connection->admin_socket()},
        size_watch_{executor, control(), *image_.connection, image_.traits.size, lun_size} {
    owns_as(std::move(image_.address));
  }

  rbd_image_t handle() const { return image_.connection->image(); }

  Result<OwnerSeen> look() override;
  Result<std::string> take(const TakeOrder& order) override;
  // Control thread.
  Result<void> write_label(const std::optional<Label>& label);
  co::Task<void> end() override;

  // What its operations wait for in the cluster.
  RbdRequests& requests() { return requests_; }
  // An operation is about to begin.
  void begin() { size_watch_.begin(); }

 private:
  RbdImage image_;
  RbdRequests requests_;
  RbdSizeWatch size_watch_;
};

}  // namespace ballast::backend
