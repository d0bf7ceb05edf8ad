cd $RESULTS
start_systemd
seen >gone
$L status >status-3 2>&1
exit 0
