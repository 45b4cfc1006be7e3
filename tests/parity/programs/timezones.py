# canary: time zones and dates
import datetime
import os
import subprocess
import time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

print(os.environ.get("TZ"), time.tzname, time.timezone, time.localtime(0).tm_hour)
print(datetime.datetime.fromtimestamp(1_700_000_000).isoformat(), datetime.datetime.fromtimestamp(0).astimezone().tzname())
try:
    print(datetime.datetime(2025, 7, 1, 12, tzinfo=ZoneInfo("America/Los_Angeles")).astimezone(datetime.timezone.utc).isoformat())
except ZoneInfoNotFoundError as error:
    print(error)
import pandas as pd

print(pd.Timestamp("2025-03-09 12:00", tz="America/New_York").tz_convert("UTC"))
os.environ["TZ"] = "EST5EDT,M3.2.0,M11.1.0"
time.tzset()
print(time.tzname, time.strftime("%H:%M %Z", time.localtime(1_750_000_000)))
print(subprocess.run(["date", "-d", "@0", "+%F %T %Z"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True).stdout)
