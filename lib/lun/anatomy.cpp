// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/anatomy.h"

#include "lib/lun/lun.h"
#include "lib/scsi/anatomy.h"
#include "lib/volume/anatomy.h"
#include "lib/watch/anatomy.h"

namespace ballast::lun {

BALLAST_BEGIN_ANATOMY
namespace {

// In a LunSetup.
constexpr std::size_t config = offsetof(LunSetup, config);
constexpr std::size_t limits =
    config + offsetof(LunConfig, deadline) - offsetof(config::Limits, deadline);

}  // namespace

constinit const anatomy::Type Anatomy::room{
    "room",
    sizeof(RoomWatch),
    {
        {"is_known", BALLAST_AT(RoomWatch, is_known_)},
        {"free", offsetof(RoomWatch, room_) + offsetof(backend::Room, free), sizeof(Bytes)},
        {"used", offsetof(RoomWatch, room_) + offsetof(backend::Room, used), sizeof(Bytes)},
        {"threshold", BALLAST_AT(RoomWatch, threshold_)},
    }};

constinit const anatomy::Type Anatomy::lun{
    "LUN",
    sizeof(Lun),
    {
        {"name", offsetof(Lun, setup_) + offsetof(LunSetup, name), sizeof(std::string)},
        {"limits", offsetof(Lun, setup_) + limits, sizeof(config::Limits), &watch::Anatomy::limits},
        {"queue_depth", offsetof(Lun, setup_) + config + offsetof(LunConfig, queue_depth),
         sizeof(LunConfig::queue_depth)},
        {"fault_control",
         offsetof(Lun, setup_) + config + offsetof(LunConfig, store) +
             offsetof(backend::StoreConfig, fault_control),
         sizeof(std::string)},
        {"configuration", BALLAST_AT(Lun, configuration_)},
        {"opened", BALLAST_AT(Lun, opened_)},
        {"backend", BALLAST_AT(Lun, backend_)},
        {"store", BALLAST_AT(Lun, store_)},
        {"volume", BALLAST_AT(Lun, volume_), &volume::Anatomy::volume},
        {"task_set", BALLAST_AT(Lun, task_set_), &scsi::Anatomy::task_set},
        {"departed", BALLAST_AT(Lun, departed_)},
        {"room", BALLAST_AT(Lun, room_watch_), &Anatomy::room},
    }};
BALLAST_END_ANATOMY

}  // namespace ballast::lun
