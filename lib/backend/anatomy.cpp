// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/anatomy.h"

#include <string>

#include "lib/backend/access_session.h"
#include "lib/backend/nbd_links.h"
#include "lib/backend/shared_access.h"

namespace ballast::backend {

BALLAST_BEGIN_ANATOMY
constinit const anatomy::Type Anatomy::shared_access{
    "shared access",
    sizeof(SharedAccess),
    {
        {"access", BALLAST_AT(SharedAccess, access_)},
        {"owner", offsetof(SharedAccess, owner_) + offsetof(StoreOwner, address),
         sizeof(std::string)},
        {"session", BALLAST_AT(SharedAccess, session_), &session},
    }};

constinit const anatomy::Type Anatomy::session{"session",
                                               sizeof(AccessSession),
                                               {
                                                   {"lost", BALLAST_AT(AccessSession, lost_)},
                                                   {"since", BALLAST_AT(AccessSession, since_)},
                                               }};

constinit const anatomy::Type Anatomy::image{"image",
                                             sizeof(void*),
                                             {
                                                 {"session", 0, sizeof(void*), &session},
                                             }};

constinit const anatomy::Type Anatomy::nbd_links{
    "NBD links",
    sizeof(NbdLinks),
    {
        {"connected", BALLAST_AT(NbdLinks, connected_)},
        {"since", BALLAST_AT(NbdLinks, since_)},
    }};
BALLAST_END_ANATOMY

}  // namespace ballast::backend
